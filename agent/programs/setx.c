/*
 * setx: keeps an environment variable in the registry, in the place of Wine's setx.exe,
 * which keeps nothing and reports success.
 *
 *   setx NAME VALUE [/M]
 *
 * The words, the limit and the exit code 1 are those of Windows' setx. Windows truncates too.
 * What reads another computer, a file or a registry key (/S, /F, /K and their like) is refused.
 */
#define WIN32_LEAN_AND_MEAN
#include <stdarg.h>
#include <stdio.h>
#include <wchar.h>
#include <windows.h>

#define LIMIT 1024 /* characters of a value */

static const WCHAR machine_key[] = L"SYSTEM\\CurrentControlSet\\Control\\Session Manager\\Environment";
static const WCHAR user_key[] = L"Environment";

static int fail(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    fputs("ERROR: ", stderr);
    vfprintf(stderr, format, arguments);
    fputs("\n", stderr);
    va_end(arguments);
    return 1;
}

static int misused(const char *why)
{
    return fail("Invalid syntax.%s\nType \"SETX /?\" for usage.", why);
}

static int usage(void)
{
    puts("\nSETX NAME VALUE [/M]\n\n"
         "Keeps an environment variable for programs that are started from now on.\n\n"
         "    /M    for all users (HKEY_LOCAL_MACHINE) and not for this one (HKEY_CURRENT_USER)\n\n"
         "linwin has no /S, /U, /P, /K, /F, /A, /R, /X and /D.");
    return 0;
}

static int keep(BOOL machine, const WCHAR *name, const WCHAR *value)
{
    static WCHAR kept[LIMIT + 1];
    size_t length = wcslen(value);
    LSTATUS status;

    if (length > LIMIT)
    {
        puts("\nWARNING: The data being saved is truncated to 1024 characters.");
        length = LIMIT;
    }
    wmemcpy(kept, value, length);
    status = RegSetKeyValueW(machine ? HKEY_LOCAL_MACHINE : HKEY_CURRENT_USER, machine ? machine_key : user_key, name,
                             wcschr(kept, '%') ? REG_EXPAND_SZ : REG_SZ, kept, (DWORD)((length + 1) * sizeof(WCHAR)));
    if (status == ERROR_ACCESS_DENIED)
        return fail("Access to the registry path is denied.");
    if (status != ERROR_SUCCESS)
        return fail("The registry refused the value: Win32 error %ld.", status);
    puts("\nSUCCESS: Specified value was saved.");
    return 0;
}

int wmain(int argc, WCHAR **argv)
{
    const WCHAR *words[2];
    BOOL machine = FALSE;
    int i, count = 0;

    for (i = 1; i < argc; i++)
    {
        BOOL option = argv[i][0] == '/' || (argv[i][0] == '-' && argv[i][1] && !argv[i][2]);

        if (option && !wcscmp(argv[i] + 1, L"?"))
            return usage();
        /* The value may look like an option: setx FLAGS /O2 keeps it, as Windows' does not. */
        if (option && !_wcsicmp(argv[i] + 1, L"M"))
            machine = TRUE;
        else if (option && argv[i][1] && !argv[i][2] && wcschr(L"SUPKFARXDsupkfarxd", argv[i][1]))
            return fail("linwin's setx has no option '%ls': it keeps a value that is named on its command line.", argv[i]);
        else if (count == 2)
            return misused(" Default option is not allowed more than '2' time(s).");
        else
            words[count++] = argv[i];
    }
    if (count < 2 || !words[0][0] || wcschr(words[0], '='))
        return misused("");
    return keep(machine, words[0], words[1]);
}
