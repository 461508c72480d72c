// A runtime as the stages see it: it begins, reads a line about the function, loads that, and
// answers each call.
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char code[4096];

static void show(const char *path) {
    FILE *file = fopen(path, "r");
    if (!file) return;
    size_t len = fread(code, 1, sizeof code - 1, file);
    code[len] = 0;
    fclose(file);
}

static int entries(const char *path) {
    DIR *directory = opendir(path);
    int count = 0;
    struct dirent *entry;
    while (directory && (entry = readdir(directory))) count += entry->d_name[0] != '.';
    if (directory) closedir(directory);
    return count;
}

int main(int count, char **arguments) {
    char line[4096], where[256], rest[4096];
    fprintf(stderr, "runtime %s in %s, %d files here, %d there\n", arguments[0],
            getcwd(where, sizeof where), entries("."), entries("/runtime"));
    if (!fgets(line, sizeof line, stdin)) return 9;
    show("source");
    show("main.txt");
    fprintf(stderr, "function %s", line);
    if (strstr(code, "broken")) {
        FILE *result = fdopen(3, "w");
        fprintf(result, "{\"error\":\"broken\"}");
        fclose(result);
        return 1;
    }
    size_t len = fread(rest, 1, sizeof rest - 1, stdin);
    rest[len] = 0;
    FILE *result = fdopen(3, "w");
    fprintf(result, "%s(%s)\n", code, rest);
    fclose(result);
    return 0;
}
