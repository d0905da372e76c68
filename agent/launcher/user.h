/* What the environment says of the user. */
#ifndef LINWIN_USER_H
#define LINWIN_USER_H

#include <windows.h>

/*
 * Makes this process's environment, which the registry and Wine have filled for one user whoever
 * runs the program, that of another, and makes the folders of a profile that are missing.
 */
void user_become(const WCHAR *name, const WCHAR *domain);

/* Makes a folder and those above it, as far as they are missing. Changes path, and restores it. */
void user_make_folder(WCHAR *path);

#endif
