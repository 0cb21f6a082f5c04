// The emulator's way through a frame, a line at a time instead of a dot at a time.
//
// nes-py asks its picture unit (PPU) three times a cycle of the processor (CPU) what the next dot
// is, and for each visible one fetches tile, pattern and attribute anew. But the CPU sees nothing
// of the PPU but its registers and its interrupt, and changes nothing of it but by way of these
// registers. So dots are put off until a register is read or written, or the interrupt may be due,
// and are drawn together then: a tile is fetched once for its eight dots, and dots at which nothing
// happens are stepped over. Everything else is left to nes-py's own `PPU::cycle`. What is computed
// is the same, dot by dot, its departures from the console included.
//
// build_emulator.py adds this file to nes-py, and what it defines to nes-py's classes.

#include <algorithm>
#include <cstring>

#include "emulator.hpp"
#include "palette.hpp"

namespace NES {

// By the byte of a tile's row: its eight dots from left to right, a byte of 0 or 1 for each.
struct Rows {
    uint64_t dots[256];
    Rows() {
        for (int row = 0; row < 256; ++row) {
            NES_Byte bytes[8];
            for (int dot = 0; dot < 8; ++dot)
                bytes[dot] = row >> (7 - dot) & 1;
            std::memcpy(&dots[row], bytes, 8);
        }
    }
};
static const Rows ROWS;

// One frame.
void Emulator::step() {
    caught_up();
    // Cartridges that switch their memory could do so between dots that were put off.
    const bool puts_off = cartridge.getMapper() == 0;
    for (int left = CYCLES_PER_FRAME; left > 0;) {
        const int count = std::min(cpu.cycles_to_instruction(), left);
        dots_put_off += 3 * count;
        if (!puts_off || dots_put_off > dots_before_interrupt)
            caught_up();
        cpu.advance(bus, count);
        left -= count;
    }
    caught_up();
}

// The PPU, with all dots made that were put off. The CPU's registers lead here.
PPU& Emulator::caught_up() {
    ppu.run(picture_bus, dots_put_off);
    dots_put_off = 0;
    dots_before_interrupt = ppu.dots_before_interrupt();
    return ppu;
}

// Cycles up to and including that in which the next instruction is executed.
int CPU::cycles_to_instruction() const {
    return std::max(skip_cycles, 1);
}

// Makes as many cycles, of which only the last may be one that executes an instruction. An
// interrupt that came meanwhile has added to the cycles to skip, so that it is none then.
void CPU::advance(MainBus& bus, int count) {
    cycles += count - 1;
    skip_cycles -= count - 1;
    cycle(bus);
}

// Makes as many dots.
void PPU::run(PictureBus& bus, int dots) {
    while (dots > 0) {
        int count = std::min(dots, dots_without_effect());
        if (count > 0) {
            cycles += count;
        } else if (pipeline_state == RENDER && cycles > 0 && cycles <= SCANLINE_VISIBLE_DOTS) {
            count = std::min(dots, SCANLINE_VISIBLE_DOTS + 1 - cycles);
            draw(bus, count);
            cycles += count;
        } else {
            count = 1;
            cycle(bus);
        }
        dots -= count;
    }
}

// Dots from here on at which the PPU does nothing but count them; it may be negative.
int PPU::dots_without_effect() const {
    switch (pipeline_state) {
        case PRE_RENDER:
            if (cycles > 1 && cycles <= SCANLINE_VISIBLE_DOTS + 1)
                return SCANLINE_VISIBLE_DOTS + 2 - cycles;
            if (cycles > SCANLINE_VISIBLE_DOTS + 2 && cycles <= 280)
                return 281 - cycles;
            // The line may be one dot shorter.
            return cycles > 304 ? SCANLINE_END_CYCLE - 1 - cycles : 0;
        case RENDER:
            return cycles > SCANLINE_VISIBLE_DOTS + 2 ? SCANLINE_END_CYCLE - cycles : 0;
        case POST_RENDER:
            return SCANLINE_END_CYCLE - cycles;
        default:  // The interrupt comes at the first dot of the vertical blank.
            return cycles > 1 ? SCANLINE_END_CYCLE - cycles : 0;
    }
}

// Dots that can be made without an interrupt: those of whole lines before its line.
int PPU::dots_before_interrupt() const {
    const int lines = VISIBLE_SCANLINES + 1;
    switch (pipeline_state) {
        case PRE_RENDER:
            return lines * SCANLINE_CYCLE_LENGTH;
        case RENDER:
            return (VISIBLE_SCANLINES - scanline) * SCANLINE_CYCLE_LENGTH;
        case VERTICAL_BLANK:
            if (scanline > lines || cycles > 1)
                return (FRAME_END_SCANLINE - 1 - scanline + lines) * SCANLINE_CYCLE_LENGTH;
            return 0;
        default:
            return 0;
    }
}

// Draws as many dots of a line, all of them visible, and moves on to the tiles behind them.
void PPU::draw(PictureBus& bus, int count) {
    const int first = cycles - 1, last = first + count;
    // Colors as addresses in the palette, 0 where it is transparent; tiles may reach over the end.
    NES_Byte background[SCANLINE_VISIBLE_DOTS + 8], colors[SCANLINE_VISIBLE_DOTS];
    draw_background(bus, first, last, background);
    const bool has_sprites = draw_sprites(bus, first, last, background, colors);
    const NES_Byte* const shown = has_sprites ? colors : background;
    NES_Pixel pixels[32];
    for (int color = 0; color < 32; ++color)
        pixels[color] = PALETTE[bus.read_palette(color)];
    NES_Pixel* const line = screen[scanline];
    for (int x = first; x < last; ++x)
        line[x] = pixels[shown[x]];
}

void PPU::draw_background(PictureBus& bus, int first, int last, NES_Byte* background) {
    if (!is_showing_background) {
        std::fill(background + first, background + last, 0);
        return;
    }
    for (int x = first; x < last;) {
        const int fine = (fine_x_scroll + x) % 8;
        const NES_Byte tile = bus.read(0x2000 | (data_address & 0x0fff));
        const NES_Address pattern = tile * 16 + (data_address >> 12 & 7) + (background_page << 12);
        const uint64_t low = ROWS.dots[bus.read(pattern)];
        const uint64_t high = ROWS.dots[bus.read(pattern + 8)];
        const NES_Byte attribute = bus.read(
            0x23c0 | (data_address & 0x0c00) | (data_address >> 4 & 0x38) | (data_address >> 2 & 7)
        );
        const int shift = (data_address >> 4 & 4) | (data_address & 2);
        const uint64_t palette = (attribute >> shift & 3) << 2;
        // All eight at once: no byte gets larger than 15.
        const uint64_t row = low | high << 1 | (low | high) * palette;
        NES_Byte bytes[16] = {};
        std::memcpy(bytes, &row, 8);
        std::memcpy(background + x, bytes + fine, 8);
        x += 8 - fine;
        if (x > last)
            continue;
        // On to the next tile; behind the last one to the nametable beside.
        if ((data_address & 0x1f) == 31)
            data_address = (data_address & ~0x1f) ^ 0x0400;
        else
            ++data_address;
    }
    if (is_hiding_edge_background && first < 8)
        std::fill(background + first, background + std::min(last, 8), 0);
}

// Whether there is a sprite in these dots; if so, `colors` are those of background and sprites.
bool PPU::draw_sprites(
    PictureBus& bus, int first, int last, const NES_Byte* background, NES_Byte* colors
) {
    if (!is_showing_sprites)
        return false;
    const int left = is_hiding_edge_sprites ? std::max(first, 8) : first;
    bool opaque[SCANLINE_VISIBLE_DOTS];
    bool found = false;
    for (const NES_Byte index : scanline_sprites) {
        const NES_Byte* const sprite = &sprite_memory[index * 4];
        const int start = std::max<int>(left, sprite[3]), end = std::min(last, sprite[3] + 8);
        if (start >= end)
            continue;
        if (!found) {
            found = true;
            std::copy(background + first, background + last, colors + first);
            std::fill(opaque + first, opaque + last, false);
        }
        const NES_Byte tile = sprite[1], attribute = sprite[2], top = sprite[0] + 1;
        const int length = is_long_sprites ? 16 : 8;
        int y = (scanline - top) % length;
        if (attribute & 0x80)
            y ^= length - 1;
        NES_Address pattern;
        if (is_long_sprites)  // The lower half is the tile behind.
            pattern = ((tile >> 1) * 32 + ((y & 7) | (y & 8) << 1)) | (tile & 1) << 12;
        else
            pattern = tile * 16 + y + (sprite_page == HIGH ? 0x1000 : 0);
        const int low = bus.read(pattern), high = bus.read(pattern + 8);
        for (int x = start; x < end; ++x) {
            const int bit = attribute & 0x40 ? x - sprite[3] : 7 - (x - sprite[3]);
            const NES_Byte color = (low >> bit & 1) | (high >> bit & 1) << 1;
            if (opaque[x] || !color)  // The first sprite that is opaque counts, even behind.
                continue;
            opaque[x] = true;
            if (index == 0 && background[x])
                is_sprite_zero_hit = true;
            if (!background[x] || !(attribute & 0x20))
                colors[x] = color | 0x10 | (attribute & 3) << 2;
        }
    }
    return found;
}

}  // namespace NES
