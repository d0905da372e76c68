#ifndef LINWIN_REGISTRY_H
#define LINWIN_REGISTRY_H

#include <windows.h>

/*
 * Changes to the registry, as agent/registry encodes them: for each five DWORDs,
 * which are what to do (below), the type of a value, and the sizes in bytes of
 * the key's whole path, the value's name and the data; then those three, filled
 * up to a multiple of four bytes. Nothing is closed by a NUL.
 *
 * The native calls are used, since no others make links and keep what is odd.
 */
enum
{
    CREATE_KEY = 1, /* and those above it */
    CREATE_LINK,    /* the data is where it leads */
    DELETE_KEY,
    SET_VALUE,
    DELETE_VALUE
};

/*
 * Makes the changes in order. Returns 0, or the NTSTATUS of the first that
 * failed, whose number from 0 on is then in failed.
 */
DWORD registry_change(const char *changes, DWORD size, DWORD *failed);

#endif
