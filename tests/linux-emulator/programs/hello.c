/* Reads its input, writes a result and a line of log, and ends with a status of its own. */
#include <stdio.h>
#include <string.h>

int main(int count, char **arguments) {
  char line[100];
  printf("%d arguments, the last is %s", count, arguments[count - 1]);
  while (fgets(line, sizeof line, stdin)) printf("line of %zu: %s", strlen(line), line);
  printf("%.3f %e %s\n", 3.14159, 1e300, "done");
  fprintf(stderr, "to the log\n");
  return 3;
}
