/* The programs of the guest of the benches exec and stream, in one static binary:
 *
 *   init            the first process: starts the agent, qemu-ga and a copier, each on its port
 *   leave [CODE]    exits
 *   print BYTES     writes so many bytes to stdout
 *   census          prints what linwin's agent holds: open files, threads, KiB of memory, control groups
 *   copy PORT       the raw copy: for each line "BYTES" from the port, what print says, to the port
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* What a pipe holds. A device takes writes of half that. */
static char block[64 << 10];

static void write_all(int to, const char *from, size_t length)
{
    while (length > 0) {
        ssize_t n = write(to, from, length);
        if (n < 0)
            err(1, "write");
        from += n;
        length -= n;
    }
}

static int print(size_t bytes)
{
    for (size_t i = 0; i < sizeof block; i++)
        block[i] = i % 64 == 63 ? '\n' : '0' + i % 64;
    for (; bytes > sizeof block; bytes -= sizeof block)
        write_all(1, block, sizeof block);
    write_all(1, block, bytes);
    return 0;
}

/* A program's output through a pipe to the port, as an agent passes it on that does nothing else. */
static void relay(int port, const char *bytes)
{
    int ends[2];
    if (pipe(ends) < 0)
        err(1, "pipe");
    if (fork() == 0) {
        dup2(ends[1], 1);
        execl("/bin/print", "print", bytes, (char *)NULL);
        err(127, "print");
    }
    close(ends[1]);
    ssize_t n;
    while ((n = read(ends[0], block, sizeof block)) > 0)
        write_all(port, block, n);
    close(ends[0]);
    wait(NULL);
}

/* Lines come whole: the host sends one and waits for the bytes. */
static int copy(const char *path)
{
    char line[32];
    int port = open(path, O_RDWR | O_CLOEXEC);
    if (port < 0)
        err(1, "%s", path);
    for (;;) {
        ssize_t n = read(port, line, sizeof line - 1); /* 0 while no host is there */
        if (n <= 0 || line[n - 1] != '\n') {
            usleep(10000);
            continue;
        }
        line[n - 1] = 0;
        relay(port, line);
    }
}

static int entries(const char *path, int folders_only)
{
    int count = 0;
    DIR *folder = opendir(path);
    if (!folder)
        err(1, "%s", path);
    for (struct dirent *entry; (entry = readdir(folder));)
        count += entry->d_name[0] != '.' && (!folders_only || entry->d_type == DT_DIR);
    closedir(folder);
    return count;
}

static int census(void)
{
    char path[64], line[256];
    int agent = getppid(); /* who runs this is who is asked about */
    snprintf(path, sizeof path, "/proc/%d/fd", agent);
    printf("files %d\n", entries(path, 0));
    snprintf(path, sizeof path, "/proc/%d/task", agent);
    printf("threads %d\n", entries(path, 0));
    snprintf(path, sizeof path, "/proc/%d/status", agent);
    FILE *status = fopen(path, "r");
    while (status && fgets(line, sizeof line, status))
        if (strncmp(line, "VmRSS:", 6) == 0)
            printf("memory %d\n", atoi(line + 6));
    printf("groups %d\n", entries("/sys/fs/cgroup", 1));
    return 0;
}

static void load_modules(void)
{
    char name[128], path[160];
    FILE *order = fopen("/modules/order", "r");
    if (!order)
        err(1, "/modules/order");
    while (fscanf(order, "%127s", name) == 1) {
        snprintf(path, sizeof path, "/modules/%s", name);
        int file = open(path, O_RDONLY | O_CLOEXEC);
        if (syscall(SYS_finit_module, file, "", 0) < 0 && errno != EEXIST && errno != ENODEV)
            err(1, "%s", path);
        close(file);
    }
    fclose(order);
}

/* The device of the port with a name. */
static const char *port_named(const char *wanted)
{
    static char device[64];
    char path[320], name[64];
    DIR *folder = opendir("/sys/class/virtio-ports");
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        snprintf(path, sizeof path, "/sys/class/virtio-ports/%s/name", entry->d_name);
        FILE *file = fopen(path, "r");
        int found = file && fscanf(file, "%63s", name) == 1 && strcmp(name, wanted) == 0;
        if (file)
            fclose(file);
        if (found) {
            snprintf(device, sizeof device, "/dev/%.32s", entry->d_name);
            closedir(folder);
            return device;
        }
    }
    errx(1, "no port is named %s", wanted);
}

static void start(char *const argv[])
{
    if (fork() == 0) {
        execv(argv[0], argv);
        err(127, "%s", argv[0]);
    }
}

static int init(void)
{
    mount("dev", "/dev", "devtmpfs", 0, NULL);
    int console = open("/dev/console", O_RDWR);
    for (int i = 0; i < 3; i++)
        dup2(console, i);
    mkdir("/run", 0755);
    if (mount("proc", "/proc", "proc", 0, NULL) < 0 || mount("sys", "/sys", "sysfs", 0, NULL) < 0 ||
        mount("cgroup", "/sys/fs/cgroup", "cgroup2", 0, NULL) < 0)
        err(1, "mount");
    load_modules();
    setenv("PATH", "/bin", 1);
    start((char *[]){"/bin/linwin-agent", "-port", strdup(port_named("org.linwin.agent.0")), NULL});
    start((char *[]){"/bin/qemu-ga", "--method", "virtio-serial", "--path", strdup(port_named("qga")),
                     "--statedir", "/run", "--pidfile", "/run/qga.pid", NULL});
    start((char *[]){"/bin/copy", strdup(port_named("raw")), NULL});
    for (;;)
        wait(NULL);
}

int main(int argc, char **argv)
{
    const char *slash = strrchr(argv[0], '/'), *name = slash ? slash + 1 : argv[0];
    if (getpid() == 1)
        return init();
    if (strcmp(name, "leave") == 0)
        return argc > 1 ? atoi(argv[1]) : 0;
    if (strcmp(name, "print") == 0 && argc == 2)
        return print(strtoull(argv[1], NULL, 10));
    if (strcmp(name, "census") == 0)
        return census();
    if (strcmp(name, "copy") == 0 && argc == 2)
        return copy(argv[1]);
    errx(2, "no such program: %s", name);
}
