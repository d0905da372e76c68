/*
 * save-registry: writes Wine's registry out while Wine goes on, as the files that wineserver itself
 * keeps: /run/linwin/registry/{system,user,userdef}.reg. They are whole when it has ended with 0.
 *
 * To flush a key does nothing in Wine, whose server writes its files out every 30 s and at its end.
 * To save one has the server write it at once, in the same form, as long as no other request is served.
 */
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
#include <winternl.h>

#define BACKUP_PRIVILEGE 17 /* SE_BACKUP_PRIVILEGE of ntddk.h */

NTSTATUS NTAPI NtOpenKey(HANDLE *key, ACCESS_MASK access, OBJECT_ATTRIBUTES *attributes);
NTSTATUS NTAPI NtSaveKey(HANDLE key, HANDLE file);
NTSTATUS NTAPI RtlAdjustPrivilege(ULONG privilege, BOOLEAN enable, BOOLEAN of_thread, BOOLEAN *before);

static const struct
{
    const WCHAR *key, *file;
} hives[] = {
    {L"\\Registry\\Machine", L"\\\\?\\unix\\run\\linwin\\registry\\system.reg"},
    {L"\\Registry\\User\\S-1-5-21-0-0-0-1000", L"\\\\?\\unix\\run\\linwin\\registry\\user.reg"},
    {L"\\Registry\\User\\.Default", L"\\\\?\\unix\\run\\linwin\\registry\\userdef.reg"},
};

static NTSTATUS save(const WCHAR *name, const WCHAR *path)
{
    HANDLE key, file = CreateFileW(path, GENERIC_WRITE, 0, NULL, CREATE_ALWAYS, FILE_ATTRIBUTE_NORMAL, NULL);
    OBJECT_ATTRIBUTES attributes;
    UNICODE_STRING string;
    NTSTATUS status;

    if (file == INVALID_HANDLE_VALUE)
        return -1;
    RtlInitUnicodeString(&string, name);
    InitializeObjectAttributes(&attributes, &string, OBJ_CASE_INSENSITIVE, NULL, NULL);
    status = NtOpenKey(&key, KEY_READ, &attributes);
    if (!status)
        status = NtSaveKey(key, file);
    CloseHandle(file);
    return status;
}

/* Ends with the number of the hive that was not written, from 1 on. */
void entry(void)
{
    BOOLEAN before;
    DWORD i;

    if (RtlAdjustPrivilege(BACKUP_PRIVILEGE, TRUE, FALSE, &before))
        ExitProcess(ARRAYSIZE(hives) + 1);
    for (i = 0; i < ARRAYSIZE(hives); i++)
        if (save(hives[i].key, hives[i].file))
            ExitProcess(i + 1);
    ExitProcess(0);
}
