/* CRC-32 as in zlib, PNG and Ethernet: polynomial 0xEDB88320 reflected, all bits inverted before and after.
 */
#ifndef EC_CRC32_H
#define EC_CRC32_H

#include <stddef.h>
#include <stdint.h>

static inline uint32_t ec_crc32(const uint8_t *data, size_t bytes) {
    static const uint32_t of_nibble[16] = {
        0x00000000, 0x1DB71064, 0x3B6E20C8, 0x26D930AC, 0x76DC4190, 0x6B6B51F4, 0x4DB26158, 0x5005713C,
        0xEDB88320, 0xF00F9344, 0xD6D6A3E8, 0xCB61B38C, 0x9B64C2B0, 0x86D3D2D4, 0xA00AE278, 0xBDBDF21C,
    };
    uint32_t crc = 0xFFFFFFFF;
    for (size_t i = 0; i < bytes; i++) {
        crc ^= data[i];
        crc = crc >> 4 ^ of_nibble[crc & 15];
        crc = crc >> 4 ^ of_nibble[crc & 15];
    }
    return ~crc;
}

#endif
