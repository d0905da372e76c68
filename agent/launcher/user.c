#define WIN32_LEAN_AND_MEAN
#include "user.h"

/* The profile of the user that the template's registry was made for, without the drive. */
static const WCHAR written[] = L"\\users\\ContainerAdministrator";
static const WCHAR profiles[] = L"\\Users\\";

#define WRITTEN_LENGTH (sizeof(written) / sizeof(WCHAR) - 1)
#define MAX_VALUE 32768 /* of Windows, its NUL included */

static WCHAR lower(WCHAR c)
{
    return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c;
}

/* Whether text begins with the profile's path, and nothing of its last name follows. */
static BOOL begins_with_profile(const WCHAR *text)
{
    unsigned i;

    for (i = 0; i < WRITTEN_LENGTH; i++)
        if (lower(text[i]) != lower(written[i]))
            return FALSE;
    return !text[i] || text[i] == '\\' || text[i] == ';';
}

/* Writes the value as it is of another user. Returns whether that differs, and there is room for it. */
static BOOL translate(const WCHAR *value, const WCHAR *name, WCHAR to[MAX_VALUE])
{
    WCHAR *end = to;
    const WCHAR *from;
    BOOL found = FALSE;

    while (*value && end < to + MAX_VALUE - MAX_PATH)
    {
        if (!begins_with_profile(value))
        {
            *end++ = *value++;
            continue;
        }
        for (from = profiles; *from; from++)
            *end++ = *from;
        for (from = name; *from; from++)
            *end++ = *from;
        value += WRITTEN_LENGTH;
        found = TRUE;
    }
    *end = 0;
    return found && !*value;
}

static void translate_all(const WCHAR *name)
{
    static WCHAR translated[MAX_VALUE];
    WCHAR *block = GetEnvironmentStringsW(), *variable, *equals, *next;

    for (variable = block; *variable; variable = next)
    {
        for (next = variable; *next; next++)
            ;
        next++;
        for (equals = variable + 1; *equals && *equals != '='; equals++)
            ; /* not the first character: names of drives' folders begin with one */
        if (!*equals || !translate(equals + 1, name, translated))
            continue;
        *equals = 0;
        SetEnvironmentVariableW(variable, translated);
    }
    FreeEnvironmentStringsW(block);
}

/* Makes the folder that a variable names, if it is missing. */
static void make_folder_of(const WCHAR *variable)
{
    WCHAR folder[MAX_PATH];
    DWORD length = GetEnvironmentVariableW(variable, folder, MAX_PATH);

    if (length && length < MAX_PATH && GetFileAttributesW(folder) == INVALID_FILE_ATTRIBUTES)
        user_make_folder(folder);
}

void user_become(const WCHAR *name, const WCHAR *domain)
{
    translate_all(name);
    SetEnvironmentVariableW(L"USERNAME", name);
    SetEnvironmentVariableW(L"USERDOMAIN", domain);
    /* Told by Windows to those who log on; nobody logs on to a container. */
    SetEnvironmentVariableW(L"LOGONSERVER", NULL);
    make_folder_of(L"APPDATA");
    make_folder_of(L"TEMP");
}

void user_make_folder(WCHAR *path)
{
    WCHAR *p, separator;

    for (p = path + 1; p[-1]; p++)
    {
        if (*p && *p != '\\' && *p != '/')
            continue;
        separator = *p;
        *p = 0;
        CreateDirectoryW(path, NULL);
        *p = separator;
    }
}
