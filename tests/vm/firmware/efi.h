/* What programs of ours that firmware starts need of UEFI, and the serial port.

   Definitions: UEFI specification 2.10. */

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
    status (*write)(struct block_io *, u32 id, u64 block, u64 size, const void *buffer);
    status (*flush)(struct block_io *);
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
enum { WAIT_FOR_EVENT = 3 + 9, HANDLE_PROTOCOL = 3 + 16, SET_WATCHDOG = 3 + 29, LOCATE_HANDLE_BUFFER = 3 + 36 };
enum { RESET_SYSTEM = 3 + 10 }; /* of the runtime services */

static const guid LOADED_IMAGE = {0x5b1b31a1, 0x9562, 0x11d2, {0x8e, 0x3f, 0, 0xa0, 0xc9, 0x69, 0x72, 0x3b}};
static const guid BLOCK_IO = {0x964e5b21, 0x6459, 0x11d2, {0x8e, 0x39, 0, 0xa0, 0xc9, 0x69, 0x72, 0x3b}};

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

static void *protocol(void **boot, void *handle, const guid *id) {
    status (*handle_protocol)(void *, const guid *, void **) = boot[HANDLE_PROTOCOL];
    void *found = 0;
    return handle_protocol(handle, id, &found) ? 0 : found;
}
