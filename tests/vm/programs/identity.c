/*
 * identity: what Windows tells a program of its user and its computer, one "name=value" a line.
 *
 * Each line names the function that was asked, so that a difference names the one that lies.
 */
#define SECURITY_WIN32
#include <winsock2.h>
#include <windows.h>
#include <security.h>
#include <shlobj.h>
#include <stdio.h>
#include <userenv.h>

#define LENGTH 1024

static WCHAR text[LENGTH];
static DWORD length;

static void tell(const char *name, BOOL worked)
{
    if (worked)
        printf("%s=%ls\n", name, text);
    else
        printf("%s failed with %lu\n", name, GetLastError());
    text[0] = 0;
    length = LENGTH;
}

static void tell_computer(void)
{
    static const struct { const char *name; COMPUTER_NAME_FORMAT format; } forms[] = {
        {"GetComputerNameEx NetBIOS", ComputerNameNetBIOS},
        {"GetComputerNameEx DnsHostname", ComputerNameDnsHostname},
        {"GetComputerNameEx DnsDomain", ComputerNameDnsDomain},
        {"GetComputerNameEx DnsFullyQualified", ComputerNameDnsFullyQualified},
        {"GetComputerNameEx PhysicalNetBIOS", ComputerNamePhysicalNetBIOS},
        {"GetComputerNameEx PhysicalDnsHostname", ComputerNamePhysicalDnsHostname},
        {"GetComputerNameEx PhysicalDnsFullyQualified", ComputerNamePhysicalDnsFullyQualified},
    };
    WSADATA sockets;
    char host[LENGTH];
    unsigned i;

    tell("GetComputerName", GetComputerNameW(text, &length));
    for (i = 0; i < sizeof(forms) / sizeof(*forms); i++)
        tell(forms[i].name, GetComputerNameExW(forms[i].format, text, &length));
    WSAStartup(MAKEWORD(2, 2), &sockets);
    if (!gethostname(host, LENGTH))
        printf("gethostname=%s\n", host);
}

static void tell_registry(const char *name, const WCHAR *key, const WCHAR *value)
{
    DWORD size = sizeof(text);

    SetLastError(RegGetValueW(HKEY_LOCAL_MACHINE, key, value, RRF_RT_REG_SZ, NULL, text, &size));
    tell(name, !GetLastError());
}

static void tell_user(void)
{
    static const struct { const char *name; int folder; } folders[] = {
        {"SHGetFolderPath PROFILE", CSIDL_PROFILE},
        {"SHGetFolderPath APPDATA", CSIDL_APPDATA},
        {"SHGetFolderPath LOCAL_APPDATA", CSIDL_LOCAL_APPDATA},
    };
    BYTE sid[256], domain_text[LENGTH * sizeof(WCHAR)];
    DWORD size = sizeof(sid), domain_length = LENGTH;
    SID_NAME_USE use;
    HANDLE token;
    unsigned i;

    OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &token);
    tell("GetUserName", GetUserNameW(text, &length));
    tell("GetUserNameEx", GetUserNameExW(NameSamCompatible, text, &length));
    GetTokenInformation(token, TokenUser, sid, size, &size);
    tell("LookupAccountSid", LookupAccountSidW(NULL, ((TOKEN_USER *)sid)->User.Sid, text, &length,
                                               (WCHAR *)domain_text, &domain_length, &use));
    tell("GetUserProfileDirectory", GetUserProfileDirectoryW(token, text, &length));
    for (i = 0; i < sizeof(folders) / sizeof(*folders); i++)
        tell(folders[i].name, SHGetFolderPathW(NULL, folders[i].folder, NULL, 0, text) == S_OK);
    tell("GetTempPath", GetTempPathW(LENGTH, text) != 0);
    printf("IsUserAnAdmin=%d\n", IsUserAnAdmin());
}

int main(void)
{
    length = LENGTH;
    tell_user();
    tell_computer();
    tell_registry("ActiveComputerName", L"SYSTEM\\CurrentControlSet\\Control\\ComputerName\\ActiveComputerName",
                  L"ComputerName");
    tell_registry("ComputerName", L"SYSTEM\\CurrentControlSet\\Control\\ComputerName\\ComputerName", L"ComputerName");
    tell_registry("Hostname", L"SYSTEM\\CurrentControlSet\\Services\\Tcpip\\Parameters", L"Hostname");
    tell_registry("Domain", L"SYSTEM\\CurrentControlSet\\Services\\Tcpip\\Parameters", L"Domain");
    return 0;
}
