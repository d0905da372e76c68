/* See relay.h. */
#define WIN32_LEAN_AND_MEAN
#include "relay.h"

#include "lines.h"

#define BUFFER 65536

enum { FROM_UNIX, TO_UNIX, ERRORS_TO_UNIX, STREAMS };

static const DWORD names[STREAMS] = {STD_INPUT_HANDLE, STD_OUTPUT_HANDLE, STD_ERROR_HANDLE};

struct relay
{
    HANDLE unix_end; /* the launcher's own standard handle */
    HANDLE near_end; /* of the pipe, kept by the launcher; NULL where nothing is relayed */
    HANDLE far_end;  /* of the pipe, the program's */
    HANDLE thread;
};

static struct relay relays[STREAMS];
static HANDLE program;

/* A pipe whose near end can be read with a way out: anonymous pipes only know waiting. */
static BOOL open_output(struct relay *relay, int stream)
{
    WCHAR name[] = L"\\\\.\\pipe\\linwin-launch-00000000-0";
    SECURITY_ATTRIBUTES inherited = {sizeof(inherited), NULL, TRUE};
    WCHAR *digit = name + sizeof(name) / sizeof(*name) - 2;
    DWORD number = GetCurrentProcessId();

    *digit = (WCHAR)('0' + stream);
    for (digit -= 2; number; number >>= 4)
        *digit-- = L"0123456789abcdef"[number & 15];
    relay->near_end = CreateNamedPipeW(name, PIPE_ACCESS_INBOUND | FILE_FLAG_OVERLAPPED | FILE_FLAG_FIRST_PIPE_INSTANCE,
                                       PIPE_TYPE_BYTE, 1, BUFFER, BUFFER, 0, NULL);
    if (relay->near_end == INVALID_HANDLE_VALUE)
        return FALSE;
    relay->far_end =
        CreateFileW(name, GENERIC_WRITE | FILE_READ_ATTRIBUTES, 0, &inherited, OPEN_EXISTING, 0, NULL);
    return relay->far_end != INVALID_HANDLE_VALUE;
}

static BOOL open_input(struct relay *relay)
{
    return CreatePipe(&relay->far_end, &relay->near_end, NULL, BUFFER) &&
           SetHandleInformation(relay->far_end, HANDLE_FLAG_INHERIT, HANDLE_FLAG_INHERIT);
}

BOOL relay_prepare(STARTUPINFOW *startup)
{
    HANDLE *handles[STREAMS] = {&startup->hStdInput, &startup->hStdOutput, &startup->hStdError};
    int stream;

    for (stream = 0; stream < STREAMS; stream++)
    {
        struct relay *relay = &relays[stream];

        *handles[stream] = relay->unix_end = GetStdHandle(names[stream]);
        if (GetFileType(relay->unix_end) != FILE_TYPE_PIPE)
        {
            SetHandleInformation(relay->unix_end, HANDLE_FLAG_INHERIT, HANDLE_FLAG_INHERIT);
            continue;
        }
        if (!(stream == FROM_UNIX ? open_input(relay) : open_output(relay, stream)))
            return FALSE;
        *handles[stream] = relay->far_end;
    }
    return TRUE;
}

BOOL relay_no_input(STARTUPINFOW *startup)
{
    SECURITY_ATTRIBUTES inherited = {sizeof(inherited), NULL, TRUE};
    struct relay *relay = &relays[FROM_UNIX];

    if (relay->near_end)
    {
        CloseHandle(relay->near_end);
        CloseHandle(relay->far_end);
        relay->near_end = relay->far_end = NULL;
    }
    startup->hStdInput = CreateFileW(L"NUL", GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_WRITE, &inherited,
                                     OPEN_EXISTING, 0, NULL);
    return startup->hStdInput != INVALID_HANDLE_VALUE;
}

static BOOL write_all(HANDLE to, const char *data, DWORD size)
{
    DWORD count;

    for (; size; data += count, size -= count)
        if (!WriteFile(to, data, size, &count, NULL))
            return FALSE;
    return TRUE;
}

static char *buffer(void)
{
    return VirtualAlloc(NULL, BUFFER, MEM_COMMIT, PAGE_READWRITE);
}

/* Passes one block of input on, by the line where the program needs that. */
static BOOL pass_input(HANDLE to, const char *data, DWORD size)
{
    DWORD length;

    for (; size && lines_wanted(); data += length, size -= length)
    {
        for (length = 1; length < size && data[length - 1] != '\n'; length++)
            ;
        if (!write_all(to, data, length) || !FlushFileBuffers(to))
            return FALSE;
    }
    return write_all(to, data, size);
}

/* Length of what follows the last end of a line. */
static DWORD unfinished(const char *data, DWORD size)
{
    DWORD length = 0;

    while (length < size && data[size - length - 1] != '\n')
        length++;
    return length;
}

/* Passes input on until it ends or the program wants no more. */
static DWORD WINAPI relay_input(void *parameter)
{
    struct relay *relay = parameter;
    char *data = buffer();
    DWORD count, size, held = 0, i;

    while (data && ReadFile(relay->unix_end, data + held, BUFFER - held, &count, NULL) && count)
    {
        size = held + count;
        held = lines_whole() && size < BUFFER ? unfinished(data, size) : 0;
        if (!pass_input(relay->near_end, data, size - held))
            break;
        for (i = 0; i < held; i++)
            data[i] = data[size - held + i];
    }
    if (held)
        pass_input(relay->near_end, data, held);
    CloseHandle(relay->near_end);
    return 0;
}

/*
 * Reads what is there, or waits for it or for the program's end, whichever is
 * first. Returns FALSE when nobody can write to the pipe any more.
 */
static BOOL read_some(struct relay *relay, OVERLAPPED *request, char *data, DWORD *count)
{
    HANDLE events[] = {request->hEvent, program};

    *count = 0;
    if (!ReadFile(relay->near_end, data, BUFFER, NULL, request))
    {
        if (GetLastError() != ERROR_IO_PENDING)
            return FALSE;
        if (WaitForMultipleObjects(2, events, FALSE, INFINITE) != WAIT_OBJECT_0)
            CancelIo(relay->near_end);
    }
    return GetOverlappedResult(relay->near_end, request, count, TRUE) || GetLastError() == ERROR_OPERATION_ABORTED;
}

/*
 * Passes output on. Programs that outlive the main one may hold the pipe open,
 * so its end is not waited for: once the main program has ended, what the pipe
 * holds is all that counts.
 */
static DWORD WINAPI relay_output(void *parameter)
{
    struct relay *relay = parameter;
    OVERLAPPED request;
    DWORD available, count;
    char *data = buffer();

    request.Offset = request.OffsetHigh = 0;
    request.hEvent = CreateEventW(NULL, TRUE, FALSE, NULL);
    while (data)
    {
        if (WaitForSingleObject(program, 0) == WAIT_OBJECT_0 &&
            (!PeekNamedPipe(relay->near_end, NULL, 0, NULL, &available, NULL) || !available))
            break;
        if (!read_some(relay, &request, data, &count) || !write_all(relay->unix_end, data, count))
            break;
    }
    /* A program that goes on printing to a reader that is gone has to be told. */
    CloseHandle(relay->near_end);
    return 0;
}

void relay_start(HANDLE process)
{
    int stream;

    program = process;
    for (stream = 0; stream < STREAMS; stream++)
    {
        struct relay *relay = &relays[stream];

        if (!relay->near_end)
            continue;
        CloseHandle(relay->far_end);
        relay->thread = CreateThread(NULL, 0, stream == FROM_UNIX ? relay_input : relay_output, relay, 0, NULL);
    }
}

void relay_finish(void)
{
    int stream;

    for (stream = TO_UNIX; stream < STREAMS; stream++)
        if (relays[stream].thread)
            WaitForSingleObject(relays[stream].thread, INFINITE);
}
