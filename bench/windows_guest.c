/* The Windows program of the benches net and files, for both guests that are compared:
 *
 *   serve PORT           sends each client in turn as many bytes as its line says, until it is killed
 *   write FOLDER         reads commands, one a line, "SUBFOLDER FILES", and writes so many small files,
 *                        each opened, written and closed, to folders in there; answers each with "done"
 */
#include <winsock2.h>
#include <ws2tcpip.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SMALLEST 1024
#define LARGEST 4096
/* To make a file Wine reads its whole folder, for names that differ in case alone. */
#define FILES_OF_A_FOLDER 100

static char block[256 << 10];

static int complain(const char *what, unsigned long code) {
  printf("failed: %s: %lu\n", what, code);
  fflush(stdout);
  return 1;
}

/* The bytes that a client asks for. */
static long long asked(SOCKET client) {
  char line[32] = "";
  for (size_t n = 0; n < sizeof line - 1 && recv(client, line + n, 1, 0) == 1 && line[n] != '\n'; n++)
    ;
  return strtoll(line, NULL, 10);
}

static int serve(const char *port) {
  struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons((u_short)atoi(port))};
  SOCKET s, client;
  WSADATA data;
  WSAStartup(MAKEWORD(2, 2), &data);
  s = socket(AF_INET, SOCK_STREAM, 0);
  if (bind(s, (SOCKADDR *)&any, sizeof any) || listen(s, 1))
    return complain("listen", WSAGetLastError());
  printf("listening\n");
  fflush(stdout);
  while ((client = accept(s, NULL, NULL)) != INVALID_SOCKET) {
    int sent = 0;
    for (long long left = asked(client); left > 0 && sent >= 0; left -= sent)
      sent = send(client, block, left < (int)sizeof block ? (int)left : (int)sizeof block, 0);
    closesocket(client);
  }
  return complain("accept", WSAGetLastError());
}

static int make_folder(const char *path) {
  return !CreateDirectoryA(path, NULL) && complain(path, GetLastError());
}

static int write_file(const char *path, int number) {
  DWORD size = SMALLEST + number * 997 % (LARGEST - SMALLEST + 1), written;
  HANDLE file = CreateFileA(path, GENERIC_WRITE, 0, NULL, CREATE_NEW, FILE_ATTRIBUTE_NORMAL, NULL);
  if (file == INVALID_HANDLE_VALUE)
    return complain(path, GetLastError());
  if (!WriteFile(file, block, size, &written, NULL) || written != size)
    return complain("write", GetLastError());
  return !CloseHandle(file) && complain("close", GetLastError());
}

static int write_files(const char *folder, int files) {
  char path[MAX_PATH];
  if (make_folder(folder))
    return 1;
  for (int i = 0; i < files; i++) {
    snprintf(path, sizeof path, "%s\\%d", folder, i / FILES_OF_A_FOLDER);
    if (i % FILES_OF_A_FOLDER == 0 && make_folder(path))
      return 1;
    snprintf(path, sizeof path, "%s\\%d\\%d.txt", folder, i / FILES_OF_A_FOLDER, i);
    if (write_file(path, i))
      return 1;
  }
  return 0;
}

static int obey(const char *folder) {
  char line[64], name[32], path[MAX_PATH];
  int files;
  while (fgets(line, sizeof line, stdin) && sscanf(line, "%31s %d", name, &files) == 2) {
    snprintf(path, sizeof path, "%s\\%s", folder, name);
    if (write_files(path, files))
      return 1;
    printf("done\n");
    fflush(stdout);
  }
  return 0;
}

int main(int argc, char **argv) {
  memset(block, 'x', sizeof block);
  if (argc == 3 && !strcmp(argv[1], "serve"))
    return serve(argv[2]);
  if (argc == 3 && !strcmp(argv[1], "write"))
    return obey(argv[2]);
  return 2;
}
