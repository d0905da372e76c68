/*
 * linwin-launch: starts one Windows program for the agent of a wine guest.
 *
 * Started as a Unix process, a Windows program would get a command line rebuilt
 * by Wine, an environment without the caller's variables, and an exit code cut
 * to eight bits. This launcher stands between: it reads what to start from a
 * file, starts it with the standard handles it was given itself (relay.h), and
 * reports. Where those are a terminal, Wine has made a console on it for the
 * launcher, which the program shares.
 *
 *   linwin-launch.exe [wait] FOLDER
 *
 * Without an argument it does nothing, which starts Wine and its services. With
 * "wait" it gets ready, and reads its request once a byte comes on control: such
 * a launcher is started before anybody knows for which program. Where that byte
 * is "r" it changes the registry first, and waits for another.
 * FOLDER is a Unix folder that holds
 *   request   UTF-16LE, seven or more strings, each closed by a NUL: "3" (the
 *             format), the guest's new host name or nothing, the user's name and
 *             the domain of it, "nul" where the program gets no standard input or
 *             nothing, the current directory, the command line, then name and
 *             value of each variable to set
 *   registry  changes to the registry, as registry.h says
 *   report    a FIFO to which this program writes lines: "waiting", "started",
 *             "error WHERE CODE" with WHERE one of request, cwd, start and CODE
 *             a Win32 error, or "exit CODE"; "changed", or "unchanged STATUS at
 *             NUMBER" with the NTSTATUS of the change that failed; all numbers
 *             are decimal
 *   control   a FIFO from which it reads lines: "event NUMBER", a console control
 *             event to raise in the program, or "size ROWS COLUMNS", the
 *             console's; all numbers are decimal
 *
 * Only kernel32 is used and there is no C runtime, since every DLL costs time.
 */
#define WIN32_LEAN_AND_MEAN
#include "console.h"
#include "lines.h"
#include "registry.h"
#include "relay.h"
#include "user.h"

#define MAX_FILE (8 << 20)

static const WCHAR unix_root[] = L"\\\\?\\unix";
static WCHAR folder[MAX_PATH];
static HANDLE report = INVALID_HANDLE_VALUE;
static HANDLE child, child_thread;
static HANDLE shutdown_thread; /* of the child, handling CTRL_SHUTDOWN_EVENT */

static WCHAR *append(WCHAR *to, const WCHAR *from)
{
    while ((*to = *from++))
        to++;
    return to;
}

static char *append_text(char *to, const char *from)
{
    while ((*to = *from++))
        to++;
    return to;
}

static char *append_number(char *to, DWORD number)
{
    char digits[10];
    int count = 0;

    do
        digits[count++] = '0' + number % 10;
    while (number /= 10);
    while (count)
        *to++ = digits[--count];
    *to = 0;
    return to;
}

static HANDLE open_file(const WCHAR *name, DWORD access)
{
    WCHAR path[MAX_PATH + 32];

    append(append(append(path, folder), L"\\"), name);
    return CreateFileW(path, access, FILE_SHARE_READ | FILE_SHARE_WRITE, NULL, OPEN_EXISTING, 0, NULL);
}

/* Writes one line. Lines are shorter than PIPE_BUF, so they arrive whole. */
static void tell(const char *what, const char *where, BOOL numbered, DWORD number)
{
    char line[64], *end = append_text(append_text(line, what), where);
    DWORD written;

    if (numbered)
        end = append_number(append_text(end, " "), number);
    end = append_text(end, "\n");
    WriteFile(report, line, (DWORD)(end - line), &written, NULL);
}

static void fail(const char *where, DWORD error)
{
    tell("error ", where, TRUE, error);
    ExitProcess(1);
}

/*
 * The folder is the last argument and holds no spaces: what follows the last one.
 * Returns whether there is another argument, which is "wait".
 */
static BOOL find_folder(void)
{
    const WCHAR *p, *argument = GetCommandLineW();
    WCHAR *to;
    int arguments = 0;

    for (p = argument; *p; p++)
        if (*p == ' ')
        {
            argument = p + 1;
            arguments++;
        }
    if (!arguments)
        ExitProcess(0);
    if (p - argument >= MAX_PATH - 16)
        ExitProcess(2);
    to = append(folder, unix_root);
    for (; *argument; argument++)
        if (*argument != '"')
            *to++ = *argument == '/' ? '\\' : *argument;
    *to = 0;
    return arguments > 1;
}

/* Reads a file of the folder that is not empty. */
static void *read_whole(const WCHAR *name, DWORD *size)
{
    HANDLE file = open_file(name, GENERIC_READ);
    DWORD done = 0, count;
    char *data;

    if (file == INVALID_HANDLE_VALUE)
        fail("request", GetLastError());
    *size = GetFileSize(file, NULL);
    if (!*size || *size > MAX_FILE || !(data = VirtualAlloc(NULL, *size, MEM_COMMIT, PAGE_READWRITE)))
        fail("request", ERROR_INVALID_DATA);
    for (; done < *size; done += count)
        if (!ReadFile(file, data + done, *size - done, &count, NULL) || !count)
            fail("request", ERROR_HANDLE_EOF);
    CloseHandle(file);
    return data;
}

static WCHAR *read_request(DWORD *units)
{
    DWORD size;
    WCHAR *text = read_whole(L"request", &size);

    *units = size / sizeof(WCHAR);
    if (!*units || text[*units - 1])
        fail("request", ERROR_INVALID_DATA);
    return text;
}

static void change_registry(void)
{
    char line[64];
    DWORD size, failed, status;
    char *changes = read_whole(L"registry", &size);

    status = registry_change(changes, size, &failed);
    VirtualFree(changes, 0, MEM_RELEASE);
    if (status)
    {
        append_text(append_number(append_text(line, "unchanged "), status), " at");
        tell(line, "", TRUE, failed);
    }
    else
        tell("changed", "", FALSE, 0);
}

static void wait_for_request(void)
{
    HANDLE control = open_file(L"control", GENERIC_READ);
    DWORD count;
    char byte;

    tell("waiting", "", FALSE, 0);
    do
    {
        if (control == INVALID_HANDLE_VALUE || !ReadFile(control, &byte, 1, &count, NULL) || !count)
            ExitProcess(4);
        if (byte == 'r')
            change_registry();
    } while (byte == 'r');
    CloseHandle(control);
}

/* The string behind this one, or an empty one at the end. */
static WCHAR *next(WCHAR *string, const WCHAR *last)
{
    while (*string)
        string++;
    return string < last ? string + 1 : string;
}

static void raise_event(DWORD event)
{
    LPTHREAD_START_ROUTINE routine =
        (LPTHREAD_START_ROUTINE)(void *)GetProcAddress(GetModuleHandleW(L"kernelbase.dll"), "CtrlRoutine");
    HANDLE thread = CreateRemoteThread(child, NULL, 0, routine, (void *)(ULONG_PTR)event, 0, NULL);

    if (thread && event == CTRL_SHUTDOWN_EVENT && !shutdown_thread)
        shutdown_thread = thread;
    else if (thread)
        CloseHandle(thread);
}

/* Reads what is in a line of the control FIFO: its first letter and up to two numbers. */
static BOOL read_control(HANDLE control, char *what, DWORD numbers[2])
{
    DWORD count, field = 0;
    char byte;

    *what = 0;
    numbers[0] = numbers[1] = 0;
    while (ReadFile(control, &byte, 1, &count, NULL) && count)
    {
        if (byte == '\n')
            return TRUE;
        if (!*what)
            *what = byte;
        else if (byte == ' ')
            field++;
        else if (byte >= '0' && byte <= '9' && field - 1 < 2)
            numbers[field - 1] = numbers[field - 1] * 10 + (byte - '0');
    }
    return FALSE;
}

static DWORD WINAPI follow_control(void *unused)
{
    HANDLE control = open_file(L"control", GENERIC_READ);
    DWORD numbers[2];
    char what;

    (void)unused;
    while (control != INVALID_HANDLE_VALUE && read_control(control, &what, numbers))
        if (what == 'e')
            raise_event(numbers[0]);
        else if (what == 's')
            console_resize((SHORT)numbers[0], (SHORT)numbers[1]);
    return 0;
}

/* Goes to a folder, which is made if it is missing, as Windows does for docker. */
static BOOL enter(WCHAR *folder)
{
    if (SetCurrentDirectoryW(folder))
        return TRUE;
    if (GetLastError() != ERROR_FILE_NOT_FOUND && GetLastError() != ERROR_PATH_NOT_FOUND)
        return FALSE;
    user_make_folder(folder);
    return SetCurrentDirectoryW(folder);
}

typedef LSTATUS(WINAPI *set_key_value)(HKEY, LPCWSTR, LPCWSTR, DWORD, LPCVOID, DWORD);

/*
 * Tells Windows what the guest is called, as wineboot does while Wine starts, to
 * a Wine that was started when the guest had no name yet.
 */
static void set_name(WCHAR *host)
{
    static const WCHAR active[] = L"System\\CurrentControlSet\\Control\\ComputerName\\ActiveComputerName";
    /* advapi32 has it too, and would have to be loaded for it. */
    set_key_value set_value = (set_key_value)(void *)GetProcAddress(GetModuleHandleW(L"kernelbase.dll"), "RegSetKeyValueW");
    WCHAR name[MAX_COMPUTERNAME_LENGTH + 1], server[MAX_COMPUTERNAME_LENGTH + 3], *domain = host;
    DWORD length = MAX_COMPUTERNAME_LENGTH + 1;

    while (*domain && *domain != '.')
        domain++;
    if (*domain)
        *domain++ = 0;
    SetComputerNameExW(ComputerNamePhysicalDnsDomain, domain);
    SetComputerNameExW(ComputerNamePhysicalDnsHostname, host);
    if (!DnsHostnameToComputerNameW(host, name, &length))
        return;
    set_value(HKEY_LOCAL_MACHINE, active, L"ComputerName", REG_SZ, name, (length + 1) * sizeof(WCHAR));
    append(append(server, L"\\\\"), name);
    set_value(HKEY_CURRENT_USER, L"Volatile Environment", L"LOGONSERVER", REG_SZ, server, (length + 3) * sizeof(WCHAR));
    set_value(HKEY_CURRENT_USER, L"Volatile Environment", L"USERDOMAIN", REG_SZ, name, (length + 1) * sizeof(WCHAR));
    SetEnvironmentVariableW(L"COMPUTERNAME", name);
}

static BOOL prepare(STARTUPINFOW *startup)
{
    char *byte = (char *)startup;

    while (byte < (char *)(startup + 1))
        *byte++ = 0;
    startup->cb = sizeof(*startup);
    startup->dwFlags = STARTF_USESTDHANDLES;
    return relay_prepare(startup);
}

static ULONGLONG died(HANDLE thread)
{
    FILETIME created, exited, kernel, user;

    if (!GetThreadTimes(thread, &created, &exited, &kernel, &user))
        return 0;
    return (ULONGLONG)exited.dwHighDateTime << 32 | exited.dwLowDateTime;
}

/*
 * Windows ends a program that does not handle CTRL_SHUTDOWN_EVENT with
 * STATUS_CONTROL_C_EXIT, Wine's last handler with 0. That handler ran if the
 * thread that the event was raised in was the one to end the process: then it
 * outlived the main thread.
 */
static DWORD exit_code(void)
{
    DWORD code;

    GetExitCodeProcess(child, &code);
    if (!code && shutdown_thread && died(shutdown_thread) > died(child_thread))
        return STATUS_CONTROL_C_EXIT;
    return code;
}

void entry(void)
{
    WCHAR *text, *last, *host, *user, *domain, *input, *cwd, *command_line, *name, *value;
    PROCESS_INFORMATION process;
    STARTUPINFOW startup;
    DWORD units, unprepared;
    BOOL waiting;

    waiting = find_folder();
    report = open_file(L"report", GENERIC_WRITE);
    if (report == INVALID_HANDLE_VALUE)
        ExitProcess(3);
    unprepared = prepare(&startup) ? 0 : GetLastError();
    if (waiting)
        wait_for_request();
    text = read_request(&units);
    last = text + units - 1;
    if (text[0] != '3' || text[1])
        fail("request", ERROR_REVISION_MISMATCH);
    host = next(text, last);
    user = next(host, last);
    domain = next(user, last);
    input = next(domain, last);
    cwd = next(input, last);
    command_line = next(cwd, last);
    /* Meant for Wine's Unix side, which keeps its own copies. */
    SetEnvironmentVariableW(L"WINEDEBUG", NULL);
    SetEnvironmentVariableW(L"WINEPREFIX", NULL);
    SetEnvironmentVariableW(L"WINESERVER", NULL);
    SetEnvironmentVariableW(L"LC_ALL", NULL);
    SetEnvironmentVariableW(L"USER", NULL);
    if (*host)
        set_name(host);
    user_become(user, domain);
    for (name = next(command_line, last); *name; name = next(value, last))
    {
        value = next(name, last);
        SetEnvironmentVariableW(name, value);
    }
    /* Here and not in CreateProcess, so that the program is searched from here. */
    if (*cwd && !enter(cwd))
        fail("cwd", GetLastError());
    if (*input && !unprepared && !relay_no_input(&startup))
        unprepared = GetLastError();
    if (unprepared)
        fail("start", unprepared);
    console_ignore_events();
    console_listen();
    if (!CreateProcessW(NULL, command_line, NULL, NULL, TRUE, 0, NULL, NULL, &startup, &process))
        fail("start", GetLastError());
    child = process.hProcess;
    child_thread = process.hThread;
    lines_expect(child, command_line);
    relay_start(child);
    tell("started", "", FALSE, 0);
    CloseHandle(CreateThread(NULL, 0, follow_control, NULL, 0, NULL));
    WaitForSingleObject(child, INFINITE);
    relay_finish();
    tell("exit", "", TRUE, exit_code());
    ExitProcess(0);
}
