/* What a program sees of its networks. Reads commands, one a line, and answers each:
 *
 *   adapters          MAC, addresses and name servers of each adapter that is up
 *   resolve NAME      its addresses, sorted by nobody
 *   fetch HOST PORT   connects and prints what it is sent
 *   listen PORT       "listening", then what one client sent
 *   quit
 */
#include <winsock2.h>
#include <ws2tcpip.h>
#include <iphlpapi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_address(const char *label, const SOCKADDR *address, int length) {
  char text[INET6_ADDRSTRLEN];
  if (getnameinfo(address, length, text, sizeof text, NULL, 0, NI_NUMERICHOST) == 0)
    printf("%s %s\n", label, text);
}

static int adapters(void) {
  static union { IP_ADAPTER_ADDRESSES first; char space[1 << 16]; } found;
  ULONG size = sizeof found;
  if (GetAdaptersAddresses(AF_UNSPEC, 0, NULL, &found.first, &size) != NO_ERROR)
    return 1;
  for (IP_ADAPTER_ADDRESSES *a = &found.first; a; a = a->Next) {
    if (a->OperStatus != IfOperStatusUp || a->PhysicalAddressLength != 6)
      continue;
    printf("adapter");
    for (ULONG i = 0; i < a->PhysicalAddressLength; i++)
      printf("%c%02x", i ? ':' : ' ', a->PhysicalAddress[i]);
    printf(" mtu %lu\n", a->Mtu);
    for (IP_ADAPTER_UNICAST_ADDRESS *u = a->FirstUnicastAddress; u; u = u->Next)
      print_address("address", u->Address.lpSockaddr, u->Address.iSockaddrLength);
    for (IP_ADAPTER_DNS_SERVER_ADDRESS *d = a->FirstDnsServerAddress; d; d = d->Next)
      print_address("server", d->Address.lpSockaddr, d->Address.iSockaddrLength);
  }
  return 0;
}

static struct addrinfo *look_up(const char *host, const char *port) {
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
  return getaddrinfo(host, port, &hints, &found) == 0 ? found : NULL;
}

static int resolve(const char *name) {
  struct addrinfo *found = look_up(name, NULL);
  for (struct addrinfo *a = found; a; a = a->ai_next)
    print_address("address", a->ai_addr, (int)a->ai_addrlen);
  if (found)
    freeaddrinfo(found);
  return !found;
}

static void print_stream(SOCKET s) {
  char data[4096];
  for (int n; (n = recv(s, data, sizeof data, 0)) > 0;)
    fwrite(data, 1, (size_t)n, stdout);
  printf("\n");
}

static int fetch(const char *host, const char *port) {
  struct addrinfo *found = look_up(host, port);
  int failed = 1;
  for (struct addrinfo *a = found; a && failed; a = a->ai_next) {
    SOCKET s = socket(a->ai_family, SOCK_STREAM, 0);
    failed = connect(s, a->ai_addr, (int)a->ai_addrlen);
    if (!failed)
      print_stream(s);
    closesocket(s);
  }
  if (found)
    freeaddrinfo(found);
  return failed;
}

static int listen_once(const char *port) {
  struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons((u_short)atoi(port))};
  DWORD only = 0;
  SOCKET s = socket(AF_INET6, SOCK_STREAM, 0);
  setsockopt(s, IPPROTO_IPV6, IPV6_V6ONLY, (char *)&only, sizeof only);
  if (bind(s, (SOCKADDR *)&any, sizeof any) || listen(s, 1))
    return 1;
  printf("listening\n");
  fflush(stdout);
  SOCKET client = accept(s, NULL, NULL);
  print_stream(client);
  closesocket(client);
  closesocket(s);
  return 0;
}

int main(void) {
  WSADATA data;
  char line[512];
  if (WSAStartup(MAKEWORD(2, 2), &data))
    return 1;
  while (fgets(line, sizeof line, stdin)) {
    const char *verb = strtok(line, " \r\n"), *first = strtok(NULL, " \r\n"), *second = strtok(NULL, " \r\n");
    int failed = 1;
    if (!verb || !strcmp(verb, "quit"))
      break;
    if (!strcmp(verb, "adapters"))
      failed = adapters();
    else if (!strcmp(verb, "resolve") && first)
      failed = resolve(first);
    else if (!strcmp(verb, "fetch") && second)
      failed = fetch(first, second);
    else if (!strcmp(verb, "listen") && first)
      failed = listen_once(first);
    printf(failed ? "failed %d\n" : "done\n", WSAGetLastError());
    fflush(stdout);
  }
  return 0;
}
