/* Stands in the place of Windows' boot manager: an EFI program that tells the serial port what it finds.
   Built with -DSTAY it then waits for a key: r restarts the machine, q switches it off.

   Built with: x86_64-w64-mingw32-gcc -ffreestanding -nostdlib -mno-red-zone -fno-stack-protector
   -Wl,--subsystem,10 -e efi_main. Definitions: UEFI specification 2.10. */

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef u64 status;

typedef struct { u32 a; u16 b, c; u8 d[8]; } guid;
typedef struct { u8 type, subtype, length[2]; } device_path;
typedef struct { u64 signature; u32 revision, size, crc, reserved; } table_header;

typedef struct file {
    u64 revision;
    status (*open)(struct file *, struct file **, const u16 *, u64 mode, u64 attributes);
    status (*close)(struct file *);
    void *delete;
    status (*read)(struct file *, u64 *size, void *buffer);
} file;

typedef struct file_system {
    u64 revision;
    status (*open_volume)(struct file_system *, file **);
} file_system;

typedef struct { u32 id; u8 removable, present, partition, read_only, caching; u32 block, align; u64 last; } media;

typedef struct block_io {
    u64 revision;
    media *media;
    void *reset;
    status (*read)(struct block_io *, u32 id, u64 block, u64 size, void *buffer);
} block_io;

typedef struct {
    u32 revision;
    void *parent, *system_table, *device;
    device_path *path;
} loaded_image;

typedef struct text_input {
    void *reset;
    status (*read_key)(struct text_input *, u16 *scan_code_and_character);
    void *key_typed;
} text_input;

typedef struct {
    table_header header;
    void *vendor;
    u32 revision;
    void *in_handle;
    text_input *in;
    void *out_handle, *out, *err_handle, *err;
    void **runtime;
    void **boot;
} system_table;

/* Services by their places in the tables, after the header of 24 bytes. */
enum { WAIT_FOR_EVENT = 3 + 9, HANDLE_PROTOCOL = 3 + 16, LOCATE_HANDLE_BUFFER = 3 + 36, RESET_SYSTEM = 3 + 10 };

static const guid LOADED_IMAGE = {0x5b1b31a1, 0x9562, 0x11d2, {0x8e, 0x3f, 0, 0xa0, 0xc9, 0x69, 0x72, 0x3b}};
static const guid FILE_SYSTEM = {0x964e5b22, 0x6459, 0x11d2, {0x8e, 0x39, 0, 0xa0, 0xc9, 0x69, 0x72, 0x3b}};
static const guid BLOCK_IO = {0x964e5b21, 0x6459, 0x11d2, {0x8e, 0x39, 0, 0xa0, 0xc9, 0x69, 0x72, 0x3b}};
static const guid DEVICE_PATH = {0x09576e91, 0x6d3f, 0x11d2, {0x8e, 0x39, 0, 0xa0, 0xc9, 0x69, 0x72, 0x3b}};

static u8 sector[4096] __attribute__((aligned(4096)));

static void outb(u16 port, u8 value) { __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port)); }

static u8 inb(u16 port) {
    u8 value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static void letter(u8 value) {
    while (!(inb(0x3f8 + 5) & 0x20)) { }
    outb(0x3f8, value);
}

static void say(const char *text) {
    while (*text) letter((u8)*text++);
}

static void hex(u64 value, int digits) {
    while (digits--) letter("0123456789abcdef"[(value >> (4 * digits)) & 15]);
}

static void tell_guid(const u8 *at) {
    const guid *id = (const guid *)at;
    hex(id->a, 8); say("-"); hex(id->b, 4); say("-"); hex(id->c, 4); say("-");
    for (int i = 0; i < 8; i++) { if (i == 2) say("-"); hex(id->d[i], 2); }
}

static void *protocol(void **boot, void *handle, const guid *id) {
    status (*handle_protocol)(void *, const guid *, void **) = boot[HANDLE_PROTOCOL];
    void *found = 0;
    return handle_protocol(handle, id, &found) ? 0 : found;
}

static device_path *next(device_path *node) {
    return (device_path *)((u8 *)node + (node->length[0] | node->length[1] << 8));
}

/* The file that firmware started, as the path's text nodes have it. */
static void tell_path(device_path *node) {
    say("linwin-efi: started from ");
    for (; node->type != 0x7f; node = next(node))
        if (node->type == 4 && node->subtype == 4)
            for (const u16 *text = (const u16 *)(node + 1); *text; text++) letter((u8)*text);
    say("\r\n");
}

static void tell_partition(device_path *node) {
    for (; node->type != 0x7f; node = next(node))
        if (node->type == 4 && node->subtype == 1) {
            say("linwin-efi: partition "); hex(*(u32 *)(node + 1), 1);
            say(" "); tell_guid((u8 *)(node + 1) + 20); say("\r\n");
        }
}

static void tell_store(void **boot, void *device) {
    file_system *volume = protocol(boot, device, &FILE_SYSTEM);
    file *root, *store;
    u64 size = 4;
    say("linwin-efi: store ");
    if (!volume || volume->open_volume(volume, &root)
        || root->open(root, &store, L"\\EFI\\Microsoft\\Boot\\BCD", 1, 0) || store->read(store, &size, sector)) {
        say("missing\r\n");
        return;
    }
    for (int i = 0; i < 4; i++) letter(sector[i]);
    say("\r\n");
}

/* A disk with a GPT: its id, and what the boot sector of its third partition says of itself. */
static void tell_disk(block_io *disk) {
    if (!disk || disk->media->partition || disk->media->block != 512) return;
    if (disk->read(disk, disk->media->id, 1, 512, sector) || *(u64 *)sector != 0x5452415020494645ull) return;
    say("linwin-efi: disk "); tell_guid(sector + 56); say("\r\n");
    if (disk->read(disk, disk->media->id, 2, 512, sector)) return;
    u64 first = *(u64 *)(sector + 2 * 128 + 32);
    say("linwin-efi: third "); tell_guid(sector + 2 * 128 + 16);
    if (disk->read(disk, disk->media->id, first, 512, sector)) return;
    say(" "); for (int i = 3; i < 7; i++) letter(sector[i]);
    say(" at "); hex(first, 8); say(" says "); hex(*(u32 *)(sector + 28), 8); say("\r\n");
}

#ifdef STAY
/* A key of whichever keyboard: firmware takes the serial port for one too. */
static u16 key(void **boot, text_input *keyboard) {
    status (*wait)(u64, void **, u64 *) = boot[WAIT_FOR_EVENT];
    u16 typed[2] = {0, 0};
    u64 index;
    wait(1, &keyboard->key_typed, &index);
    return keyboard->read_key(keyboard, typed) ? 0 : typed[1];
}
#endif

status efi_main(void *image, system_table *system) {
    void **boot = (void **)system->boot, **handles;
    status (*locate)(u32, const guid *, void *, u64 *, void ***) = boot[LOCATE_HANDLE_BUFFER];
    void (*reset)(u32, status, u64, void *) = system->runtime[RESET_SYSTEM];
    loaded_image *own = protocol(boot, image, &LOADED_IMAGE);
    u64 count = 0;
    tell_path(own->path);
    tell_partition(protocol(boot, own->device, &DEVICE_PATH));
    tell_store(boot, own->device);
    if (!locate(2, &BLOCK_IO, 0, &count, &handles))
        for (u64 i = 0; i < count; i++) tell_disk(protocol(boot, handles[i], &BLOCK_IO));
    say("linwin-efi: end\r\n");
#ifdef STAY
    for (u16 typed = 0; typed != 'q'; typed = key(boot, system->in))
        if (typed == 'r') reset(0, 0, 0, 0);
#endif
    reset(2, 0, 0, 0);
    return 0;
}
