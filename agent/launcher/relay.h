#ifndef LINWIN_RELAY_H
#define LINWIN_RELAY_H

#include <windows.h>

/*
 * The standard handles of a program, made so that it can treat them as pipes of
 * Windows. What the launcher has itself are Unix pipes; Wine calls them pipes as
 * well, but every call that wants a named pipe (SetNamedPipeHandleState, which
 * node makes first of all) fails on them. So each one is replaced by a pipe of
 * Windows, and relayed. Other handles, a console's or NUL, are passed on.
 */

/* Fills the three handles of startup. Returns FALSE with the last error set. */
BOOL relay_prepare(STARTUPINFOW *startup);

/* Gives the program NUL for its standard input, whatever the launcher's own is. */
BOOL relay_no_input(STARTUPINFOW *startup);

/* Starts relaying, once the program runs. */
void relay_start(HANDLE program);

/* Waits until all that the program, which has ended, had printed is passed on. */
void relay_finish(void);

#endif
