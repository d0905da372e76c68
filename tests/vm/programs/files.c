/*
 * files: what programs do with files beyond reading and writing them.
 *
 *   files lock PATH      lock its first byte for itself, say so, and keep it until a line comes
 *   files replace A B    put A in B's place while A is open, and read it then
 *   files long FOLDER    make and read a file whose path is longer than 260 characters
 */
#include <stdio.h>
#include <string.h>
#include <windows.h>

static int failed(const char *what)
{
    printf("%s failed with %lu\n", what, GetLastError());
    return 1;
}

static HANDLE opened(const char *path)
{
    return CreateFileA(path, GENERIC_READ | GENERIC_WRITE, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE,
                       NULL, OPEN_ALWAYS, 0, NULL);
}

static int lock(const char *path)
{
    HANDLE file = opened(path);
    OVERLAPPED from = {0};
    char line[8];

    if (file == INVALID_HANDLE_VALUE)
        return failed("open");
    if (!LockFileEx(file, LOCKFILE_EXCLUSIVE_LOCK | LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &from))
        return failed("lock");
    printf("locked\n");
    fflush(stdout);
    if (!fgets(line, sizeof line, stdin))
        return failed("read");
    return 0;
}

static int replace(const char *from, const char *to)
{
    HANDLE file = opened(from);
    char data[64] = "";
    DWORD length = 0;

    if (file == INVALID_HANDLE_VALUE)
        return failed("open");
    if (!MoveFileExA(from, to, MOVEFILE_REPLACE_EXISTING))
        return failed("replace");
    if (!ReadFile(file, data, sizeof data - 1, &length, NULL))
        return failed("read");
    printf("still open: %s\n", data);
    return 0;
}

static int long_path(const char *folder)
{
    WCHAR path[2048];
    char data[16] = "";
    DWORD length = 0;
    HANDLE file;
    int i;

    swprintf(path, 2048, L"\\\\?\\%hs", folder);
    for (i = 0; i < 8; i++)
    {
        wcscat(path, L"\\a-folder-whose-name-is-rather-long-as-those-of-packages-are");
        if (!CreateDirectoryW(path, NULL))
            return failed("make a folder");
    }
    wcscat(path, L"\\file.txt");
    file = CreateFileW(path, GENERIC_READ | GENERIC_WRITE, 0, NULL, CREATE_NEW, 0, NULL);
    if (file == INVALID_HANDLE_VALUE || !WriteFile(file, "deep", 4, &length, NULL))
        return failed("write");
    SetFilePointer(file, 0, NULL, FILE_BEGIN);
    if (!ReadFile(file, data, sizeof data - 1, &length, NULL))
        return failed("read");
    printf("%s at %d characters\n", data, (int)wcslen(path) - 4);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 3 && !strcmp(argv[1], "lock"))
        return lock(argv[2]);
    if (argc == 4 && !strcmp(argv[1], "replace"))
        return replace(argv[2], argv[3]);
    if (argc == 3 && !strcmp(argv[1], "long"))
        return long_path(argv[2]);
    return 2;
}
