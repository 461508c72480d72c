/* The interpreter as a runtime starts it: no arguments, no environment of anybody's, and the
 * launcher as its program. Everything lies beside this executable. */

#include <Python.h>

#include <stdio.h>
#include <string.h>

#define PATH_LEN 4096

/* The folder of the executable, as it was called. */
static int folder(const char *program, char *path)
{
    const char *end = strrchr(program, '/');
    size_t len = end ? (size_t)(end - program) : 0;
    if (len == 0 || len >= PATH_LEN)
        return -1;
    memcpy(path, program, len);
    path[len] = 0;
    return 0;
}

static PyStatus configure(PyConfig *config, const char *program, const char *home)
{
    char launcher[PATH_LEN + sizeof "/launcher.py"];
    snprintf(launcher, sizeof launcher, "%s/launcher.py", home);
    const struct {
        wchar_t **place;
        const char *text;
    } texts[] = {
        {&config->program_name, program},
        {&config->executable, program},
        {&config->home, home},
        {&config->run_filename, launcher},
    };
    for (size_t at = 0; at < sizeof texts / sizeof *texts; at++) {
        PyStatus status = PyConfig_SetBytesString(config, texts[at].place, texts[at].text);
        if (PyStatus_Exception(status))
            return status;
    }
    /* Everything of the library is compiled already, and nothing else is kept. */
    config->write_bytecode = 0;
    return Py_InitializeFromConfig(config);
}

int main(int argc, char **argv)
{
    char home[PATH_LEN];
    if (argc < 1 || folder(argv[0], home) != 0) {
        fputs("python: it was not called by its path\n", stderr);
        return 1;
    }
    PyPreConfig before;
    PyPreConfig_InitIsolatedConfig(&before);
    before.utf8_mode = 1;
    PyStatus status = Py_PreInitialize(&before);
    if (!PyStatus_Exception(status)) {
        PyConfig config;
        PyConfig_InitIsolatedConfig(&config);
        status = configure(&config, argv[0], home);
        PyConfig_Clear(&config);
    }
    if (PyStatus_Exception(status))
        Py_ExitStatusException(status);
    return Py_RunMain();
}
