/*
 * stop-services: asks every running Windows service to stop and returns when their processes
 * have ended. How long that may take is the caller's to say, who ends this program.
 *
 * Windows' service manager sends SERVICE_CONTROL_SHUTDOWN when Windows ends. Wine's sends
 * nothing and lets nobody else send that one, so services are sent SERVICE_CONTROL_STOP.
 */
#define WIN32_LEAN_AND_MEAN
#include <windows.h>

#define MOST 256 /* services that are told, and a process each that is waited for */

static const WCHAR wines_own[] = L"Winedevice"; /* hosts drivers, and is not to be stopped from outside */

static DWORD buffer[(256 << 10) / sizeof(DWORD)];
static HANDLE processes[MOST];
static DWORD waited;

static BOOL is_wines_own(const WCHAR *name)
{
    int i;

    for (i = 0; wines_own[i]; i++)
        if (name[i] != wines_own[i])
            return FALSE;
    return TRUE;
}

static BOOL stop(SC_HANDLE manager, const WCHAR *name)
{
    SC_HANDLE service = OpenServiceW(manager, name, SERVICE_STOP);
    SERVICE_STATUS status;
    BOOL told = service && ControlService(service, SERVICE_CONTROL_STOP, &status);

    CloseServiceHandle(service);
    return told;
}

static void expect(DWORD process)
{
    HANDLE handle = OpenProcess(SYNCHRONIZE, FALSE, process);

    if (handle)
        processes[waited++] = handle;
}

void entry(void)
{
    SC_HANDLE manager = OpenSCManagerW(NULL, NULL, SC_MANAGER_CONNECT | SC_MANAGER_ENUMERATE_SERVICE);
    const ENUM_SERVICE_STATUS_PROCESSW *services = (const void *)buffer;
    DWORD needed, count = 0, resume = 0, i;

    if (!manager || !EnumServicesStatusExW(manager, SC_ENUM_PROCESS_INFO, SERVICE_WIN32, SERVICE_ACTIVE, (BYTE *)buffer,
                                           sizeof(buffer), &needed, &count, &resume, NULL))
        ExitProcess(1);
    for (i = 0; i < count && waited < MOST; i++)
    {
        const SERVICE_STATUS_PROCESS *status = &services[i].ServiceStatusProcess;

        if (is_wines_own(services[i].lpServiceName))
            continue;
        /* One that cannot be stopped is not waited for; one that stops already is. */
        if (status->dwCurrentState == SERVICE_STOP_PENDING || stop(manager, services[i].lpServiceName))
            expect(status->dwProcessId);
    }
    for (i = 0; i < waited; i++)
        WaitForSingleObject(processes[i], INFINITE);
    ExitProcess(0);
}
