/*
 * hostname: prints the computer's DNS host name, as Windows' does. Wine's prints the NetBIOS
 * name: fifteen characters of it, in capitals.
 */
#define WIN32_LEAN_AND_MEAN
#include <stdio.h>
#include <windows.h>

int main(int argc, char **argv)
{
    char name[256];
    DWORD length = sizeof(name);

    (void)argv;
    if (argc > 1)
    {
        fputs("sethostname: linwin names a container when it is created: use --hostname.\n", stderr);
        return 1;
    }
    if (!GetComputerNameExA(ComputerNamePhysicalDnsHostname, name, &length))
    {
        fprintf(stderr, "hostname: Windows does not tell it: Win32 error %lu.\n", GetLastError());
        return 1;
    }
    puts(name);
    return 0;
}
