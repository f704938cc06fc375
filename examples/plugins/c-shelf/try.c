/* Tries the plugin without Larder, as a host would use it: good under valgrind.
 *
 *     cc -std=c11 -g -I path/to/include -o try try.c shelf.c -lpthread
 *     valgrind --leak-check=full ./try */
#include <larder_plugin.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void must(int is_so, const char *what) {
    if (is_so) return;
    fprintf(stderr, "not so: %s\n", what);
    exit(1);
}

/* A value of the host with its owners counted. */
static int owners = 0;
static void retain(void *owner) { (void)owner, owners++; }
static void release(void *owner) { (void)owner, owners--; }
static const larder_bytes_vt counted = { retain, release };

static larder_key key_of(const char *text, uint64_t hash) {
    larder_key key = { (const uint8_t *)text, strlen(text), hash };
    return key;
}

int main(void) {
    static uint8_t value[10000], scratch[64];
    const larder_plugin *plugin = NULL;
    larder_error error = { .struct_size = sizeof error };
    larder_create args = {
        .struct_size = sizeof args,
        .instance = 1,
        .cache = LARDER_STR("tried"),
        .config_json = LARDER_STR("{\"capacity\":3}"),
        .max_value_bytes = LARDER_UNLIMITED,
    };
    larder_call call = { .struct_size = sizeof call, .now_us = 100, .deadline_us = LARDER_NEVER };
    must(larder_entry_v1(NULL, &plugin, &error) == LARDER_OK, "it can be entered");
    const larder_backend_vt *shelf = plugin->components[0]->vtable;
    void *self = NULL;
    must(shelf->create(&args, &self, &error) == LARDER_OK, "it can be made");

    /* Keys whose hashes are the same, short and long values, with and without an owner. */
    larder_key a = key_of("a", 7), b = key_of("b", 7), c = key_of("c", 23), d = key_of("d", 7);
    larder_entry owned = { .value = { value, sizeof value, &owners, &counted },
                           .soft_us = LARDER_NEVER, .hard_us = LARDER_NEVER };
    larder_entry plain = { .value = { value, sizeof value, NULL, NULL },
                           .soft_us = LARDER_NEVER, .hard_us = 200 };
    larder_entry brief = { .value = { value, 10, NULL, NULL },
                           .soft_us = LARDER_NEVER, .hard_us = LARDER_NEVER };
    must(shelf->set(self, &call, &a, &owned, &error) == LARDER_OK, "a is stored");
    must(owners == 1, "it was kept, not copied");
    must(shelf->set(self, &call, &b, &plain, &error) == LARDER_OK, "b is stored");
    must(shelf->set(self, &call, &c, &brief, &error) == LARDER_OK, "c is stored");
    must(shelf->set(self, &call, &d, &brief, &error) == LARDER_CAPACITY, "there are only three");
    must(error.message.len > 0 && error.hint.len > 0, "it says why");

    larder_key all[] = { a, b, c };
    size_t lengths[] = { sizeof value, sizeof value, 10 };
    for (int at = 0; at < 3; at++) {
        larder_read read = { .scratch = scratch, .scratch_cap = sizeof scratch };
        must(shelf->get(self, &call, &all[at], &read, &error) == LARDER_OK, "it is there");
        must(read.entry.value.len == lengths[at], "all of it");
        must((read.entry.value.ptr == scratch) == (lengths[at] == 10), "short ones are copied");
        if (read.entry.value.vt) read.entry.value.vt->release(read.entry.value.owner);
    }
    larder_slice nothing = { NULL, 0 };
    larder_page page = { .keys = { 0 }, .next = { 0 } };
    must(shelf->scan(self, &call, &nothing, &nothing, 1, &page, &error) == LARDER_OK, "a page");
    must(page.keys.len >= 5 && page.next.len > 0, "it has a key, and is not the last");
    page.keys.vt->release(page.keys.owner);
    page.next.vt->release(page.next.owner);

    must(shelf->touch(self, &call, &c, LARDER_NEVER, 200, &error) == LARDER_OK, "c is touched");
    call.now_us = 200;
    must(shelf->exists(self, &call, &b, &error) == LARDER_MISS, "b is over");
    must(shelf->remove(self, &call, &c, &error) == LARDER_MISS, "c is over");
    must(shelf->set(self, &call, &a, &brief, &error) == LARDER_OK, "a is stored again");
    must(owners == 0, "the old value was released");
    must(shelf->set(self, &call, &a, &owned, &error) == LARDER_OK, "and again");
    shelf->destroy(self);
    must(owners == 0, "all was released");
    return 0;
}
