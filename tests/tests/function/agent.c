/* Says which program asked. */
#define ACTION_IMPLEMENTATION
#include "action.h"

int action_main(void) {
    const char *agent = action_header("USER_AGENT");
    if (agent == NULL) {
        agent = "nobody";
    }
    action_put_status(203);
    action_put_header("Content-Type", "text/plain");
    action_put_header("X-Agent", agent);
    action_end_headers();
    action_put_text(action_env("REQUEST_METHOD"));
    action_put_text(" by ");
    action_put_text(agent);
    action_put_text("\n");
    return 0;
}
