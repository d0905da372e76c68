/*
 * Go's runtime takes random bytes from ProcessPrng, which Windows has since
 * version 7 and Wine since 8.12. For an older Wine this is a stand-in.
 */
#include <windows.h>

BOOLEAN NTAPI SystemFunction036(PVOID buffer, ULONG size); /* RtlGenRandom */

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE buffer, SIZE_T size)
{
    return SystemFunction036(buffer, (ULONG)size);
}
