/*
 * service: a Windows service that writes down what happens to it, one line each, in C:\service.log.
 *
 *   service.exe            run by the service control manager
 *   service.exe install    make it an automatic service named Diary
 *   service.exe await      return when it runs
 */
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
#include <stdio.h>
#include <string.h>

static char name[] = "Diary";
static HANDLE asked, running;
static SERVICE_STATUS_HANDLE handle;
static SERVICE_STATUS status = {SERVICE_WIN32_OWN_PROCESS, SERVICE_START_PENDING, 0, NO_ERROR, 0, 0, 0};

static void note(const char *line)
{
    HANDLE file = CreateFileA("C:\\service.log", FILE_APPEND_DATA, FILE_SHARE_READ, NULL, OPEN_ALWAYS, 0, NULL);
    DWORD written;

    WriteFile(file, line, (DWORD)strlen(line), &written, NULL);
    WriteFile(file, "\r\n", 2, &written, NULL);
    CloseHandle(file);
}

static void enter(DWORD state)
{
    status.dwCurrentState = state;
    status.dwControlsAccepted = state == SERVICE_RUNNING ? SERVICE_ACCEPT_STOP | SERVICE_ACCEPT_SHUTDOWN : 0;
    SetServiceStatus(handle, &status);
}

static DWORD WINAPI control(DWORD code, DWORD event, void *data, void *context)
{
    (void)event, (void)data, (void)context;
    switch (code)
    {
    case SERVICE_CONTROL_STOP:
        note("stop");
        break;
    case SERVICE_CONTROL_SHUTDOWN:
        note("shutdown");
        break;
    case SERVICE_CONTROL_INTERROGATE:
        return NO_ERROR;
    default:
        return ERROR_CALL_NOT_IMPLEMENTED;
    }
    enter(SERVICE_STOP_PENDING);
    SetEvent(asked);
    return NO_ERROR;
}

static void WINAPI run(DWORD argc, LPSTR *argv)
{
    (void)argc, (void)argv;
    asked = CreateEventA(NULL, TRUE, FALSE, NULL);
    handle = RegisterServiceCtrlHandlerExA(name, control, NULL);
    note("start");
    enter(SERVICE_RUNNING);
    SetEvent(running);
    WaitForSingleObject(asked, INFINITE);
    Sleep(500); /* what a real one would save */
    note("end");
    enter(SERVICE_STOPPED);
}

static int install(void)
{
    SC_HANDLE manager = OpenSCManagerA(NULL, NULL, SC_MANAGER_CREATE_SERVICE), service;
    char path[MAX_PATH];

    GetModuleFileNameA(NULL, path, sizeof(path));
    service = CreateServiceA(manager, name, "A diary", SERVICE_ALL_ACCESS, SERVICE_WIN32_OWN_PROCESS,
                             SERVICE_AUTO_START, SERVICE_ERROR_NORMAL, path, NULL, NULL, NULL, NULL, NULL);
    printf(service ? "installed\n" : "not installed: %lu\n", GetLastError());
    return !service;
}

int main(int argc, char **argv)
{
    SERVICE_TABLE_ENTRYA table[] = {{name, run}, {NULL, NULL}};

    running = CreateEventA(NULL, TRUE, FALSE, "Global\\Diary runs");
    if (argc > 1 && !strcmp(argv[1], "await"))
        return WaitForSingleObject(running, INFINITE) != WAIT_OBJECT_0;
    if (argc > 1 && !strcmp(argv[1], "install"))
        return install();
    return !StartServiceCtrlDispatcherA(table);
}
