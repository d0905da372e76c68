#ifndef LINWIN_CONSOLE_H
#define LINWIN_CONSOLE_H

#include <windows.h>

/*
 * The console that Wine makes for a launcher whose standard handles are a
 * terminal, and that the program shares. Wine (10.0) asks the terminal for its
 * size once, when it makes the console. So a change has to be told to it.
 */

/* Leaves Ctrl-C and the like to the program. */
void console_ignore_events(void);

/*
 * Has the console read its terminal, which Wine's does from the first look at its
 * input on: Ctrl-C would not reach a program that never looks.
 */
void console_listen(void);

/* Gives the console another size, which programs that asked for it are told. */
void console_resize(SHORT rows, SHORT columns);

#endif
