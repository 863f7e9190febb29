/* Stands in for glibc's function of this name, which came with 2.36: libstdc++'s random device would otherwise raise the oldest system that
 * the binaries run on. Hidden, so that nobody else's calls end up here. */

#include <stdint.h>
#include <stdlib.h>
#include <sys/random.h>

__attribute__((visibility("hidden"))) uint32_t arc4random(void);

uint32_t arc4random(void) {
    uint32_t number;
    unsigned char *next = (unsigned char *) &number;
    size_t missing = sizeof(number);
    while (missing > 0) {
        ssize_t written = getrandom(next, missing, 0);
        if (written < 0) {
            /* Without a source of randomness there is no right number; glibc ends the process as well. */
            abort();
        }
        next += written;
        missing -= (size_t) written;
    }
    return number;
}
