/* Stands in the place of Windows' boot manager: an EFI program that tells the serial port what it finds.
   Built with -DSTAY it then waits for a key: r restarts the machine, q switches it off.

   Built with: x86_64-w64-mingw32-gcc -ffreestanding -nostdlib -mno-red-zone -fno-stack-protector
   -Wl,--subsystem,10 -e efi_main. */

#include "efi.h"

static const guid FILE_SYSTEM = {0x964e5b22, 0x6459, 0x11d2, {0x8e, 0x39, 0, 0xa0, 0xc9, 0x69, 0x72, 0x3b}};
static const guid DEVICE_PATH = {0x09576e91, 0x6d3f, 0x11d2, {0x8e, 0x39, 0, 0xa0, 0xc9, 0x69, 0x72, 0x3b}};

static u8 sector[4096] __attribute__((aligned(4096)));

static void hex(u64 value, int digits) {
    while (digits--) letter("0123456789abcdef"[(value >> (4 * digits)) & 15]);
}

static void tell_guid(const u8 *at) {
    const guid *id = (const guid *)at;
    hex(id->a, 8); say("-"); hex(id->b, 4); say("-"); hex(id->c, 4); say("-");
    for (int i = 0; i < 8; i++) { if (i == 2) say("-"); hex(id->d[i], 2); }
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
