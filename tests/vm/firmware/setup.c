/* Stands in the places of Windows Setup and of the Windows that it installs: one EFI program for both.

   Started from a disc it looks for the disc with the answers and the empty disk, and copies onto that what the
   disc that it came from holds for it: a block that begins with LINWIN-INSTALLED, with how many stretches follow
   (u32 at 16) and of each its place on the disk and its length (u64 each, from 24 on); behind the block,
   what is in them. Then it restarts the machine. Started from the disk it says what the script in the new
   Windows says, and switches the machine off.

   MODE is what it does instead, started from a disc: RESTART for ever, say NOTHING, go OFF, GIVE_UP, or be the
   boot image that ASKS for a key.

   Built as bootmgfw.c is. */

#include "efi.h"

#define INSTALL 0
#define RESTART 1
#define NOTHING 2
#define OFF 3
#define GIVE_UP 4
#define ASKS 5
#ifndef MODE
#define MODE INSTALL
#endif

enum { COLD = 0, SWITCH_OFF = 2, DISC_BLOCK = 2048, PIECE = 1 << 20 };

static u8 header[DISC_BLOCK] __attribute__((aligned(4096)));
static u8 piece[PIECE] __attribute__((aligned(4096)));
static void (*reset)(u32, status, u64, void *);

static int same(const u8 *bytes, const char *text) {
    while (*text) if (*bytes++ != (u8)*text++) return 0;
    return 1;
}

static void word(const char *text) { say("linwin-setup: "); say(text); say("\r\n"); }

static void give_up(const char *why) {
    say("linwin-setup: failed "); say(why); say("\r\n");
    for (;;) __asm__ volatile("pause");
}

static int is_disc(block_io *io) { return io->media->present && io->media->block == DISC_BLOCK; }

/* The block of a disc that begins what is to be installed; 0 where there is none. */
static u64 find_image(block_io *disc) {
    for (u64 block = 0; block + PIECE / DISC_BLOCK <= disc->media->last; block += PIECE / DISC_BLOCK) {
        if (disc->read(disc, disc->media->id, block, PIECE, piece)) return 0;
        for (u64 at = 0; at < PIECE; at += DISC_BLOCK)
            if (same(piece + at, "LINWIN-INSTALLED")) return block + at / DISC_BLOCK;
    }
    return 0;
}

static void copy(block_io *disc, u64 block, block_io *disk) {
    if (disc->read(disc, disc->media->id, block, DISC_BLOCK, header)) give_up("the disc cannot be read");
    u32 count = *(u32 *)(header + 16);
    block++;
    for (u32 i = 0; i < count; i++) {
        u64 to = ((u64 *)(header + 24))[2 * i], left = ((u64 *)(header + 24))[2 * i + 1];
        while (left) {
            u64 size = left < PIECE ? left : PIECE;
            if (disc->read(disc, disc->media->id, block, size, piece)) give_up("the disc cannot be read");
            if (disk->write(disk, disk->media->id, to / 512, size, piece)) give_up("the disk cannot be written");
            block += size / DISC_BLOCK; to += size; left -= size;
        }
    }
    disk->flush(disk);
}

static void install(void **boot) {
    status (*locate)(u32, const guid *, void *, u64 *, void ***) = boot[LOCATE_HANDLE_BUFFER];
    block_io *disk = 0, *disc = 0;
    u64 count = 0, image = 0;
    int answers = 0;
    void **handles;
    if (locate(2, &BLOCK_IO, 0, &count, &handles)) give_up("there are no disks");
    for (u64 i = 0; i < count; i++) {
        block_io *io = protocol(boot, handles[i], &BLOCK_IO);
        if (!io || io->media->partition) continue;
        if (is_disc(io)) {
            if (io->read(io, io->media->id, 16, DISC_BLOCK, header)) continue;
            if (same(header + 1, "CD001") && same(header + 40, "LINWIN ")) answers = 1;
            else if (!disc && (image = find_image(io))) disc = io;
        } else if (io->media->present && !io->media->read_only && io->media->block == 512) disk = io;
    }
    if (!answers) give_up("there is no disc with answers");
    if (!disk) give_up("there is no disk");
    if (!disc) give_up("there is nothing to install");
    if (disk->read(disk, disk->media->id, 1, 512, header)) give_up("the disk cannot be read");
    if (same(header, "EFI PART")) give_up("the disc was started although the disk can be");
    copy(disc, image, disk);
    reset(COLD, 0, 0, 0);
}

static void from_disc(void **boot) {
    if (MODE == NOTHING) for (;;) __asm__ volatile("pause");
    if (MODE == ASKS) give_up("a key is to be pressed");
    word("pe");
    if (MODE == RESTART) reset(COLD, 0, 0, 0);
    if (MODE == OFF) reset(SWITCH_OFF, 0, 0, 0);
    if (MODE == GIVE_UP) give_up("as it was told to");
    install(boot);
}

static void from_disk(void) {
    word("specialize"); word("logon"); word("drivers"); word("agent"); word("trim"); word("sysprep");
    reset(SWITCH_OFF, 0, 0, 0);
}

status efi_main(void *image, system_table *system) {
    void **boot = (void **)system->boot;
    status (*watchdog)(u64, u64, u64, void *) = boot[SET_WATCHDOG];
    loaded_image *own = protocol(boot, image, &LOADED_IMAGE);
    block_io *device = protocol(boot, own->device, &BLOCK_IO);
    reset = system->runtime[RESET_SYSTEM];
    watchdog(0, 0, 0, 0); /* firmware would restart after five minutes */
    if (device->media->read_only) from_disc(boot);
    else from_disk();
    return 0;
}
