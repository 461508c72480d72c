// Debian's Python, linked statically: its whole program is in its library.
#include <python3.11/Python.h>

int main(int count, char **arguments) { return Py_BytesMain(count, arguments); }
