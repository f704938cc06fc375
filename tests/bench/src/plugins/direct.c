/* Calls a backend in C without Larder in between: how often, then how many keys there are.
 * Prints the nanoseconds of a call. */
#define _POSIX_C_SOURCE 200809L
#include <larder_plugin.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int main(int count, char **words) {
    if (count != 3) return 2;
    size_t calls = strtoul(words[1], NULL, 10), n = strtoul(words[2], NULL, 10), found = 0;
    const larder_plugin *plugin = NULL;
    larder_error error = { .struct_size = sizeof error };
    larder_create args = { .struct_size = sizeof args, .instance = 1,
                           .config_json = LARDER_STR("{}"),
                           .max_value_bytes = LARDER_UNLIMITED };
    larder_call call = { .struct_size = sizeof call, .now_us = 1, .deadline_us = LARDER_NEVER };
    static uint8_t value[112], scratch[4096];
    larder_entry entry = { .value = { value, sizeof value, NULL, NULL },
                           .soft_us = LARDER_NEVER, .hard_us = LARDER_NEVER };
    void *self = NULL;
    if (larder_entry_v1(NULL, &plugin, &error) != LARDER_OK) return 1;
    const larder_backend_vt *volatile table = plugin->components[0]->vtable;
    if (table->create(&args, &self, &error) != LARDER_OK) return 1;
    larder_key *keys = calloc(n, sizeof *keys);
    char *texts = calloc(n, 32);
    if (!keys || !texts) return 1;
    for (size_t at = 0; at < n; at++) {
        snprintf(texts + 32 * at, 32, "a key of the table %zu", at);
        keys[at].ptr = (uint8_t *)texts + 32 * at;
        keys[at].len = strlen(texts + 32 * at);
        keys[at].hash = (at + 1) * UINT64_C(0x9e3779b97f4a7c15) >> 7;
        table->set(self, &call, &keys[at], &entry, &error);
    }
    double start = seconds();
    for (size_t at = 0, key = 0; at < calls; at++) {
        larder_read read = { .scratch = scratch, .scratch_cap = sizeof scratch };
        found += table->get(self, &call, &keys[key], &read, &error) == LARDER_OK;
        key = (key + 7919) % n;
    }
    printf("%.2f %zu\n", (seconds() - start) * 1e9 / (double)calls, found);
    table->destroy(self);
    free(keys);
    free(texts);
    return 0;
}
