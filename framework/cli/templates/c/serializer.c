/* A serializer for Larder in C: MessagePack behind the version of your types, so that entries of
 * another version are misses. Put what you came for in its place.
 *
 * Read it from the end: the descriptor names the component, its table names the functions. The
 * rules are those at the top of larder_plugin.h; "R4" below is one of them. */
#include "larder_plugin.h"

#include <stdlib.h>
#include <string.h>

LARDER_DEFINE_STAMP("acme-demo", "any", 0);

/* How many bytes the version takes. */
#define FRONT 4

/* Nothing changes in it after create, so it needs no lock. */
typedef struct versioned {
    uint8_t version[FRONT];
} versioned;

static int32_t fail(larder_error *error, int32_t code, const char *message) {
    error->code = code;
    error->message.ptr = (const uint8_t *)message;
    error->message.len = strlen(message);
    return code;
}

/* The number behind a name. The host has checked the options against the schema below. */
static uint32_t option(const larder_slice *json, const char *name, uint32_t otherwise) {
    size_t length = strlen(name);
    for (size_t at = 0; at + length < json->len; at++) {
        if (memcmp(json->ptr + at, name, length) != 0) continue;
        uint32_t number = 0;
        for (at += length; at < json->len && json->ptr[at] >= '0' && json->ptr[at] <= '9'; at++)
            number = number * 10 + (uint32_t)(json->ptr[at] - '0');
        return number;
    }
    return otherwise;
}

static int32_t versioned_create(const larder_create *args, void **out, larder_error *error) {
    versioned *self = malloc(sizeof *self);
    if (!self) return fail(error, LARDER_CAPACITY, "there is no memory");
    uint32_t version = option(&args->config_json, "\"version\":", 1);
    for (int byte = 0; byte < FRONT; byte++) self->version[byte] = (uint8_t)(version >> (8 * byte));
    *out = self;
    return LARDER_OK;
}

static void versioned_destroy(void *instance) { free(instance); }

/* What the host frees when it is done with it; nobody shares it. */
static void retain_never(void *owner) { (void)owner; }
static const larder_bytes_vt malloc_vt = { retain_never, free };

/* Room for the output: that of the host, if it is enough, else memory that the host frees (R4). */
static uint8_t *room(larder_output *out, size_t len) {
    uint8_t *at = out->scratch;
    out->bytes = (larder_bytes){ at, len, NULL, NULL };
    if (len > out->scratch_cap) {
        at = malloc(len);
        out->bytes = (larder_bytes){ at, at ? len : 0, at, at ? &malloc_vt : NULL };
    }
    return at;
}

/* Gets a value as MessagePack. */
static int32_t versioned_encode(void *instance, const larder_codec_context *context,
                                const larder_slice *in, larder_output *out, larder_error *error) {
    const versioned *self = instance;
    (void)context;
    uint8_t *to = room(out, FRONT + in->len);
    if (!to) return fail(error, LARDER_CAPACITY, "there is no memory");
    memcpy(to, self->version, FRONT);
    if (in->len) memcpy(to + FRONT, in->ptr, in->len);
    return LARDER_OK;
}

/* Gives it back. The bytes may be anything: what was not written here is an error. */
static int32_t versioned_decode(void *instance, const larder_codec_context *context,
                                const larder_slice *in, larder_output *out, larder_error *error) {
    const versioned *self = instance;
    (void)context;
    if (in->len <= FRONT || memcmp(in->ptr, self->version, FRONT) != 0)
        return fail(error, LARDER_SERIALIZATION, "the bytes are of another version");
    uint8_t *to = room(out, in->len - FRONT);
    if (!to) return fail(error, LARDER_CAPACITY, "there is no memory");
    memcpy(to, in->ptr + FRONT, in->len - FRONT);
    return LARDER_OK;
}

/* ---- what the library says about itself ------------------------------------------------------ */

static const larder_codec_vt serializer = {
    .struct_size = sizeof(larder_codec_vt),
    .model = LARDER_CODEC_SERIALIZER,
    .create = versioned_create,
    .destroy = versioned_destroy,
    .encode = versioned_encode,
    .decode = versioned_decode,
};

static int32_t schema(larder_slice *out) {
    static const char json[] =
        "{\"type\": \"object\", \"additionalProperties\": false, \"properties\": {"
        "\"version\": {\"type\": \"integer\", \"minimum\": 0, \"maximum\": 4294967295,"
        " \"default\": 1, \"description\": \"The version of your types.\"}}}";
    out->ptr = (const uint8_t *)json;
    out->len = sizeof json - 1;
    return LARDER_OK;
}

static const larder_component component = {
    .struct_size = sizeof(larder_component),
    .kind = LARDER_KIND_CODEC,
    .name = LARDER_STR("acme.demo"),
    .summary = LARDER_STR("MessagePack behind the version of your types, in C"),
    .vtable = &serializer,
    .config_schema = schema,
};

static const larder_component *const components[] = { &component };

static const larder_plugin plugin = {
    .struct_size = sizeof(larder_plugin),
    .abi_major = LARDER_ABI_MAJOR,
    .abi_minor = LARDER_TARGET_MINOR,
    .name = LARDER_STR("acme-demo"),
    .version = LARDER_STR("0.1.0"),
    .components = components,
    .n_components = 1,
};

LARDER_EXPORT int32_t larder_entry_v1(const larder_host *host, const larder_plugin **out,
                                      larder_error *error) {
    (void)host, (void)error;
    *out = &plugin;
    return LARDER_OK;
}
