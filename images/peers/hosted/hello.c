/* Greets whom its input names, as an ordinary program does: `{"name":"you"}` comes on the standard
   input. What is not such a text is greeted as everybody. */
#include <stdio.h>
#include <string.h>

int main(void) {
  char input[512], *name = 0, *end = 0;
  size_t len = fread(input, 1, sizeof input - 1, stdin);
  input[len] = 0;
  if ((name = strstr(input, "\"name\":\""))) end = strchr(name += 8, '"');
  if (end) printf("{\"greeting\":\"Hello, %.*s!\"}", (int)(end - name), name);
  else printf("{\"greeting\":\"Hello, everybody!\"}");
  return 0;
}
