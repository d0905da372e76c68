/* See console.h. */
#define WIN32_LEAN_AND_MEAN
#include "console.h"

static BOOL WINAPI ignore_event(DWORD event)
{
    (void)event;
    return TRUE;
}

void console_ignore_events(void)
{
    SetConsoleCtrlHandler(ignore_event, TRUE);
}

void console_listen(void)
{
    HANDLE keys = CreateFileW(L"CONIN$", GENERIC_READ | GENERIC_WRITE, FILE_SHARE_READ | FILE_SHARE_WRITE, NULL,
                              OPEN_EXISTING, 0, NULL);
    INPUT_RECORD first;
    DWORD count;

    if (keys == INVALID_HANDLE_VALUE)
        return; /* the standard handles are no terminal */
    PeekConsoleInputW(keys, &first, 1, &count);
    CloseHandle(keys);
}

static SHORT smaller(SHORT a, SHORT b)
{
    return a < b ? a : b;
}

/* The window has to be within the buffer at all times: it shrinks before it and grows after it. */
void console_resize(SHORT rows, SHORT columns)
{
    HANDLE screen = CreateFileW(L"CONOUT$", GENERIC_READ | GENERIC_WRITE, FILE_SHARE_READ | FILE_SHARE_WRITE, NULL,
                                OPEN_EXISTING, 0, NULL);
    CONSOLE_SCREEN_BUFFER_INFO info;
    COORD size;
    SMALL_RECT window;

    size.X = columns;
    size.Y = rows;
    if (GetConsoleScreenBufferInfo(screen, &info))
    {
        window.Left = window.Top = 0;
        window.Right = smaller(columns, info.dwSize.X) - 1;
        window.Bottom = smaller(rows, info.dwSize.Y) - 1;
        SetConsoleWindowInfo(screen, TRUE, &window);
        SetConsoleScreenBufferSize(screen, size);
        window.Right = columns - 1;
        window.Bottom = rows - 1;
        SetConsoleWindowInfo(screen, TRUE, &window);
    }
    CloseHandle(screen);
}
