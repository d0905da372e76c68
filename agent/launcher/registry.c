/* See registry.h. */
#define WIN32_LEAN_AND_MEAN
#include "registry.h"

#include <winternl.h>

#define INVALID_PARAMETER 0xc000000d /* STATUS_…, which ntstatus.h and windows.h both define */
#define OBJECT_NAME_NOT_FOUND 0xc0000034
#define OPEN_LINK 0x100 /* OBJ_OPENLINK: a link is opened, not followed */

typedef NTSTATUS(NTAPI *create_key)(HANDLE *, ACCESS_MASK, OBJECT_ATTRIBUTES *, ULONG, UNICODE_STRING *, ULONG, ULONG *);
typedef NTSTATUS(NTAPI *open_key)(HANDLE *, ACCESS_MASK, OBJECT_ATTRIBUTES *);
typedef NTSTATUS(NTAPI *set_value)(HANDLE, UNICODE_STRING *, ULONG, ULONG, const void *, ULONG);
typedef NTSTATUS(NTAPI *delete_value)(HANDLE, UNICODE_STRING *);
typedef NTSTATUS(NTAPI *delete_key)(HANDLE);
typedef NTSTATUS(NTAPI *close_handle)(HANDLE);

/* ntdll is loaded anyway; to be linked with it would cost every launcher time. */
static struct
{
    create_key create;
    open_key open;
    set_value set;
    delete_value delete_value;
    delete_key delete_key;
    close_handle close;
} nt;

struct change
{
    DWORD op, type, key_size, name_size, data_size;
};

static void find_calls(void)
{
    HMODULE ntdll = GetModuleHandleW(L"ntdll.dll");

    nt.create = (create_key)(void *)GetProcAddress(ntdll, "NtCreateKey");
    nt.open = (open_key)(void *)GetProcAddress(ntdll, "NtOpenKey");
    nt.set = (set_value)(void *)GetProcAddress(ntdll, "NtSetValueKey");
    nt.delete_value = (delete_value)(void *)GetProcAddress(ntdll, "NtDeleteValueKey");
    nt.delete_key = (delete_key)(void *)GetProcAddress(ntdll, "NtDeleteKey");
    nt.close = (close_handle)(void *)GetProcAddress(ntdll, "NtClose");
}

static UNICODE_STRING counted(const char *text, DWORD size)
{
    UNICODE_STRING string;

    string.Length = string.MaximumLength = (USHORT)size;
    string.Buffer = (WCHAR *)text;
    return string;
}

static OBJECT_ATTRIBUTES named(UNICODE_STRING *path)
{
    OBJECT_ATTRIBUTES attributes;

    InitializeObjectAttributes(&attributes, path, OBJ_CASE_INSENSITIVE | OPEN_LINK, NULL, NULL);
    return attributes;
}

static NTSTATUS make_key(HANDLE *key, UNICODE_STRING *path, ULONG options)
{
    OBJECT_ATTRIBUTES attributes = named(path);

    return nt.create(key, KEY_ALL_ACCESS, &attributes, 0, NULL, options, NULL);
}

/* Makes the keys above one, as far as they are missing, and then the key. */
static NTSTATUS make_keys(HANDLE *key, UNICODE_STRING *path, ULONG options)
{
    NTSTATUS status = make_key(key, path, options);
    UNICODE_STRING above = *path;
    USHORT i;

    if ((DWORD)status != OBJECT_NAME_NOT_FOUND)
        return status;
    for (i = 1; i < path->Length / sizeof(WCHAR); i++)
    {
        if (path->Buffer[i] != '\\')
            continue;
        above.Length = i * sizeof(WCHAR);
        if (!make_key(key, &above, 0))
            nt.close(*key);
    }
    return make_key(key, path, options);
}

/* Carries one change out on a key that is open. */
static NTSTATUS change_key(HANDLE key, const struct change *change, UNICODE_STRING *name, const char *data)
{
    UNICODE_STRING link_value;

    switch (change->op)
    {
    case CREATE_KEY:
        return 0;
    case CREATE_LINK:
        link_value = counted((const char *)L"SymbolicLinkValue", sizeof(L"SymbolicLinkValue") - sizeof(WCHAR));
        return nt.set(key, &link_value, 0, REG_LINK, data, change->data_size);
    case DELETE_KEY:
        return nt.delete_key(key);
    case SET_VALUE:
        return nt.set(key, name, 0, change->type, data, change->data_size);
    case DELETE_VALUE:
        return nt.delete_value(key, name);
    }
    return (NTSTATUS)INVALID_PARAMETER;
}

static NTSTATUS carry_out(const struct change *change, const char *rest)
{
    const char *data = rest + change->key_size + change->name_size;
    UNICODE_STRING path = counted(rest, change->key_size);
    UNICODE_STRING name = counted(rest + change->key_size, change->name_size);
    OBJECT_ATTRIBUTES attributes = named(&path);
    NTSTATUS status;
    HANDLE key;

    if (change->op == CREATE_KEY)
        status = make_keys(&key, &path, 0);
    else if (change->op == CREATE_LINK)
        status = make_keys(&key, &path, REG_OPTION_CREATE_LINK);
    else
        status = nt.open(&key, KEY_ALL_ACCESS, &attributes);
    if (status)
        return status;
    status = change_key(key, change, &name, data);
    nt.close(key);
    return status;
}

DWORD registry_change(const char *changes, DWORD size, DWORD *failed)
{
    const struct change *change;
    NTSTATUS status;
    DWORD rest;

    find_calls();
    for (*failed = 0; size; (*failed)++)
    {
        change = (const struct change *)changes;
        if (size < sizeof(*change))
            return INVALID_PARAMETER;
        changes += sizeof(*change);
        size -= sizeof(*change);
        if (change->key_size > 0xfffe || change->name_size > 0xfffe || change->data_size > size)
            return INVALID_PARAMETER;
        rest = (change->key_size + change->name_size + change->data_size + 3) & ~3u;
        if (rest > size)
            return INVALID_PARAMETER;
        if ((status = carry_out(change, changes)))
            return (DWORD)status;
        changes += rest;
        size -= rest;
    }
    return 0;
}
