/* Runs a target on files, without a fuzzer. */
#include "fuzz.h"

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        FILE *file = fopen(argv[i], "rb");
        assert(file != NULL);
        assert(fseek(file, 0, SEEK_END) == 0);
        const long size = ftell(file);
        assert(size >= 0 && fseek(file, 0, SEEK_SET) == 0);
        uint8_t *data = take((size_t)size);
        assert(fread(data, 1, (size_t)size, file) == (size_t)size && fclose(file) == 0);
        assert(LLVMFuzzerTestOneInput(data, (size_t)size) == 0);
        drop(data);
    }
    printf("%d inputs ok\n", argc - 1);
    return argc > 1 ? 0 : 1; /* nothing to replay is a mistake */
}
