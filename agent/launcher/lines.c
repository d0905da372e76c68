/* See lines.h. */
#define WIN32_LEAN_AND_MEAN
#include "lines.h"

#include <tlhelp32.h>

static enum { NEVER, WHILE_ALONE, ALWAYS } wanted;
static DWORD reader; /* the process id of cmd.exe */

static BOOL ends_with(const WCHAR *text, DWORD length, const WCHAR *end, DWORD end_length)
{
    return length >= end_length &&
           CompareStringOrdinal(text + length - end_length, end_length, end, end_length, TRUE) == CSTR_EQUAL;
}

/* Whether this is "cmd", by any of its names, without /c or /r: it reads commands. */
static BOOL reads_commands(const WCHAR *line)
{
    BOOL quoted = *line == '"';
    const WCHAR *name = line + quoted, *end = name;

    while (*end && *end != (quoted ? '"' : ' '))
        end++;
    if (!ends_with(name, (DWORD)(end - name), L"cmd", 3) && !ends_with(name, (DWORD)(end - name), L"cmd.exe", 7))
        return FALSE;
    for (line = *end ? end + 1 : end; *line == ' ' || *line == '/'; line++)
        if (*line == '/' && ((line[1] | 32) == 'c' || (line[1] | 32) == 'r'))
            return FALSE;
        else if (*line == '/')
            while (line[1] && line[1] != ' ' && line[1] != '/')
                line++;
    return TRUE;
}

void lines_expect(HANDLE program, const WCHAR *command_line)
{
    WCHAR image[MAX_PATH];
    DWORD length = MAX_PATH;

    if (!QueryFullProcessImageNameW(program, 0, image, &length) || !ends_with(image, length, L"\\cmd.exe", 8))
        return;
    reader = GetProcessId(program);
    wanted = reads_commands(command_line) ? ALWAYS : WHILE_ALONE;
}

static BOOL has_child(DWORD process)
{
    HANDLE snapshot = CreateToolhelp32Snapshot(TH32CS_SNAPPROCESS, 0);
    PROCESSENTRY32W entry;
    BOOL more, found = FALSE;

    entry.dwSize = sizeof(entry);
    for (more = Process32FirstW(snapshot, &entry); more && !found; more = Process32NextW(snapshot, &entry))
        found = entry.th32ParentProcessID == process;
    CloseHandle(snapshot);
    return found;
}

BOOL lines_wanted(void)
{
    if (wanted == WHILE_ALONE && has_child(reader))
        wanted = NEVER;
    return wanted != NEVER;
}

BOOL lines_whole(void)
{
    return wanted == ALWAYS;
}
