/*
 * define-drives LETTERS: has Wine's mount manager know drives that were made while it ran.
 *
 * A drive's folder is /run/drives/LETTER, in lower case. Programs could open its files without
 * this, and would find that it has no volume. The request is Wine's own (ddk/mountmgr.h, Wine 7 to 10).
 */
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
#include <winioctl.h>

#define DEFINE_UNIX_DRIVE CTL_CODE('m', 32, METHOD_BUFFERED, FILE_READ_ACCESS | FILE_WRITE_ACCESS)

struct request
{
    ULONG size;
    ULONG type;
    ULONG fs_type; /* 0 is NTFS */
    ULONG serial;
    ULONGLONG unix_dev;
    WCHAR letter;
    USHORT mount_point_offset;
    USHORT device_offset;
    USHORT label_offset;
    char mount_point[sizeof("/run/drives/?")];
};

static BOOL define(HANDLE manager, WCHAR letter)
{
    struct request request = {
        .size = sizeof(request), .type = DRIVE_FIXED, .letter = letter, .mount_point = "/run/drives/?"
    };
    DWORD written;

    request.mount_point_offset = FIELD_OFFSET(struct request, mount_point);
    request.mount_point[sizeof(request.mount_point) - 2] = (char)(letter | 0x20);
    return DeviceIoControl(manager, DEFINE_UNIX_DRIVE, &request, sizeof(request), NULL, 0, &written, NULL);
}

void entry(void)
{
    const WCHAR *letters = GetCommandLineW(), *end = letters;
    HANDLE manager = CreateFileW(L"\\\\.\\MountPointManager", GENERIC_READ | GENERIC_WRITE,
                                 FILE_SHARE_READ | FILE_SHARE_WRITE, NULL, OPEN_EXISTING, 0, NULL);

    while (*end)
        end++;
    for (letters = end; letters[-1] != ' '; letters--)
        ;
    if (manager == INVALID_HANDLE_VALUE)
        ExitProcess(1);
    for (; *letters; letters++)
        if (!define(manager, *letters))
            ExitProcess(2);
    ExitProcess(0);
}
