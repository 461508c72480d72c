/* What JavaScript cannot do by itself: end the process at once. Node tidies up for a million
 * instructions, and nobody will ever see how tidy it was.
 *
 * The few functions of Node's stable interface are declared here, so that its headers need not be
 * installed. */

#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

typedef void *napi_env, *napi_value, *napi_callback_info;
typedef napi_value (*napi_callback)(napi_env, napi_callback_info);
int napi_get_cb_info(napi_env, napi_callback_info, size_t *, napi_value *, napi_value *, void **);
int napi_get_value_int32(napi_env, napi_value, int32_t *);
int napi_create_function(napi_env, const char *, size_t, napi_callback, void *, napi_value *);

static napi_value end(napi_env env, napi_callback_info info)
{
    size_t count = 1;
    napi_value argument;
    int32_t status = 1;
    if (napi_get_cb_info(env, info, &count, &argument, NULL, NULL) == 0 && count == 1)
        napi_get_value_int32(env, argument, &status);
    _exit(status);
}

napi_value napi_register_module_v1(napi_env env, napi_value exports)
{
    napi_value function;
    return napi_create_function(env, "exit", 4, end, NULL, &function) == 0 ? function : exports;
}
