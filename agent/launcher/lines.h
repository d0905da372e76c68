#ifndef LINWIN_LINES_H
#define LINWIN_LINES_H

#include <windows.h>

/*
 * How cmd.exe takes its input. Windows' reads a byte at a time from a pipe, and
 * what follows a line is left for the next program. Wine's takes all that the
 * pipe holds, uses the first line of it and loses the rest. So it is given one
 * line, and the next once that one is taken.
 *
 * That is slow (5 ms a line under emulation, to a node below cmd), so where cmd
 * runs one command ("cmd /c", a batch file) it ends as soon as cmd is seen with
 * a program of its own that takes the input instead.
 */

/* Notes what was started: program, by command_line. */
void lines_expect(HANDLE program, const WCHAR *command_line);

/* Whether the next write is to be one line. */
BOOL lines_wanted(void);

/* Whether the beginning of a line is to be kept until its end is there. */
BOOL lines_whole(void);

#endif
