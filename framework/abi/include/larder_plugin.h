/* larder_plugin.h: the plugin ABI of Larder, major 1. C11 or C++11; needs no other header.
 *
 * A plugin is a shared library with one exported function, larder_entry_v1, and one exported
 * constant, the stamp (LARDER_DEFINE_STAMP). It brings components: backends, policies, codecs,
 * invalidators, warmers, replicators. The host reads the stamp from the file before any code of
 * the library runs, calls the entry once, and never unloads the library.
 *
 * RULES
 *  R1  Only integers and pointers are passed and returned by value.
 *  R2  Structs are of two sorts. EXTENSIBLE ones begin with their struct_size, are passed one at a
 *      time by pointer, and grow by appending. FROZEN ones never change within a major version:
 *      they are embedded in others, or stand in arrays.
 *  R3  A field F of an extensible struct S is there if offsetof(S, F) + sizeof F is not greater
 *      than s->struct_size; see LARDER_HAS. A function pointer that is there may be NULL.
 *  R4  Inputs are borrowed until the function returns. Outputs belong to whom they are given.
 *      To keep an input: retain a larder_bytes that has a vt, copy everything else.
 *      Memory is freed by the side that made it, through larder_bytes.vt->release.
 *  R5  No panic, exception or longjmp crosses. A function that fails returns a status; one that
 *      returns nothing cannot fail. In C++ every function of a plugin is noexcept.
 *  R6  No enum, bool or bit-field crosses. An unknown negative status is LARDER_ERROR, unknown
 *      flags are ignored by who reads them, components of an unknown kind are skipped.
 *  R7  Text is UTF-8 with a length and without a NUL. A pointer may be NULL if its length is 0.
 *  R8  Functions of larder_host may be called from any thread until the process ends. With the
 *      number of something that is gone they do nothing and say LARDER_CLOSED.
 *  R9  What was released (a field, a function, a number) is never changed, moved or used again.
 *  R10 A plugin is never unloaded.
 *
 * THREADS. create and destroy of an instance do not overlap other calls on it. All other functions
 * may be called from many threads at a time, but for those of a policy and of a run of a warmer:
 * the host calls them one after the other.
 *
 * TIME is microseconds since 1970, UTC; LARDER_NEVER for none. Durations are microseconds.
 */
#ifndef LARDER_PLUGIN_H
#define LARDER_PLUGIN_H
#include <stddef.h>
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif

#define LARDER_ABI_MAJOR 1u
/* The newest minor version that this header knows. */
#define LARDER_ABI_MINOR 0u
/* An author may ask for an older one: what is younger is then not there. */
#ifndef LARDER_TARGET_MINOR
#define LARDER_TARGET_MINOR LARDER_ABI_MINOR
#endif

#if defined(_WIN32)
#define LARDER_EXPORT __declspec(dllexport)
#else
#define LARDER_EXPORT __attribute__((visibility("default")))
#endif

/* ---- status ---------------------------------------------------------------------------------- */

#define LARDER_OK 0
/* Not there (get, remove, exists, touch); not done, as its condition did not hold (put_if_newer,
 * fill, release, lease); there is none (victim); no more (next). */
#define LARDER_MISS 1
/* The answer follows through larder_host.op_complete; see ANSWER NOW OR LATER. */
#define LARDER_PENDING 2

#define LARDER_ERROR (-1)         /* any failure without a number of its own */
#define LARDER_CAPACITY (-2)      /* no room, or too large */
#define LARDER_CONNECTION (-3)    /* something remote cannot be reached */
#define LARDER_TIMEOUT (-4)
#define LARDER_CONFIG (-5)        /* the options cannot be used */
#define LARDER_KEY (-6)
#define LARDER_SERIALIZATION (-7)
#define LARDER_INVALIDATION (-8)
#define LARDER_UNSUPPORTED (-9)
#define LARDER_CLOSED (-10)
#define LARDER_BUSY (-11)         /* not now: try again */
#define LARDER_CANCELLED (-12)
#define LARDER_PANICKED (-13)     /* a panic or exception was caught: the instance is given up */
#define LARDER_BROKEN (-14)       /* the other side broke a rule of this header */

#define LARDER_NEVER INT64_MAX
#define LARDER_UNLIMITED UINT64_MAX

/* ---- values: frozen -------------------------------------------------------------------------- */

typedef struct larder_slice {
    const uint8_t *ptr;
    size_t len;
} larder_slice;

typedef struct larder_bytes_vt {
    void (*retain)(void *owner);  /* any thread */
    void (*release)(void *owner); /* any thread, also after the instance was destroyed */
} larder_bytes_vt;

/* Bytes with an owner. vt is NULL if there is nothing to release. */
typedef struct larder_bytes {
    const uint8_t *ptr;
    size_t len;
    void *owner;
    const larder_bytes_vt *vt;
} larder_bytes;

/* The hash is the same for equal keys as long as the process lives. Do not store it. */
typedef struct larder_key {
    const uint8_t *ptr;
    size_t len;
    uint64_t hash;
} larder_key;

typedef struct larder_kv {
    larder_slice key;
    larder_slice value;
} larder_kv;

/* When something was written, and by whom: the greater (time_us, origin) is the newer. */
typedef struct larder_version {
    uint64_t time_us;
    uint32_t origin;
    uint32_t reserved; /* 0 */
} larder_version;

/* An entry of a cache. The value is an envelope of the host, which has the tags, the format and a
 * checksum in it: keep it and give it back byte for byte. */
typedef struct larder_entry {
    larder_bytes value;
    int64_t soft_us; /* after this the entry is stale, and is still returned */
    int64_t hard_us; /* after this it is gone */
    larder_version version;
    uint64_t reserved[2]; /* 0 */
} larder_entry;

/* Where a function puts bytes. It may write them to scratch if they fit (then bytes.ptr is scratch
 * and bytes.vt NULL), or hand over bytes of its own. */
typedef struct larder_output {
    uint8_t *scratch;
    size_t scratch_cap;
    larder_bytes bytes;
} larder_output;

/* The same for an entry: its value may stand in scratch. */
typedef struct larder_read {
    uint8_t *scratch;
    size_t scratch_cap;
    larder_entry entry;
} larder_read;

/* n reads with the status of each. */
typedef struct larder_reads {
    larder_read *reads;
    int32_t *status;
    size_t n;
} larder_reads;

/* A page of keys: each is its length as 4 bytes, little endian, and the key. next.len is 0 at the
 * end, else the cursor of the next page. */
typedef struct larder_page {
    larder_bytes keys;
    larder_bytes next;
} larder_page;

typedef struct larder_lease {
    uint64_t token;       /* with LARDER_OK */
    int64_t remaining_us; /* with LARDER_MISS: how long another has it; LARDER_NEVER if unknown */
} larder_lease;

#define LARDER_SCOPE_ALL 1u
#define LARDER_SCOPE_GLOB 2u
#define LARDER_SCOPE_KEY 3u
#define LARDER_SCOPE_PREFIX 4u
#define LARDER_SCOPE_TAG 5u
#define LARDER_SCOPE_VERSION 6u /* every entry older than the version; no target */

#define LARDER_INVALIDATION_KEEP 1u /* entries become stale instead of going */

typedef struct larder_invalidation {
    uint32_t scope;
    uint32_t flags;
    larder_slice target;
    larder_version version;
    uint64_t reserved[2]; /* 0 */
} larder_invalidation;

#define LARDER_MUTATION_PUT 1u
#define LARDER_MUTATION_DELETE 2u
#define LARDER_MUTATION_INVALIDATE 3u

typedef struct larder_mutation {
    uint32_t op;
    uint32_t scope;      /* of LARDER_MUTATION_INVALIDATE */
    larder_slice target; /* the key, or what the scope names */
    larder_entry entry;  /* of LARDER_MUTATION_PUT; for the others only its version counts */
    uint64_t reserved[2]; /* 0 */
} larder_mutation;

#define LARDER_WARM_HAS_VALUE 1u

typedef struct larder_warm_item {
    larder_bytes key;
    larder_bytes value; /* serialized, with LARDER_WARM_HAS_VALUE; else the host loads it */
    int32_t priority;   /* greater goes first */
    uint32_t flags;
    uint64_t reserved[2]; /* 0 */
} larder_warm_item;

typedef struct larder_warm_batch {
    larder_warm_item *items; /* room for cap items */
    size_t cap;
    size_t n; /* how many were put there */
} larder_warm_batch;

/* ---- around a call: extensible --------------------------------------------------------------- */

/* Valid until the function returns. */
typedef struct larder_call {
    uint32_t struct_size;
    uint32_t flags;
    int64_t now_us; /* so that nobody needs to ask a clock */
    int64_t deadline_us;
    const uint8_t *traceparent; /* W3C, 55 bytes, or NULL */
    void *slot;                 /* for op_defer; NULL if the answer must come now */
} larder_call;

#define LARDER_ERROR_RETRYABLE 1u

/* The caller sets struct_size and zeroes the rest. A pointer to it may be NULL. */
typedef struct larder_error {
    uint32_t struct_size;
    int32_t code; /* the status that is returned */
    uint32_t flags;
    uint32_t reserved;
    larder_bytes message; /* one line, without a full stop */
    larder_bytes hint;    /* what to do about it */
    /* With LARDER_CONFIG: [{"pointer": "/path/0", "message": "..."}, ...], JSON pointers into the
     * options, so that the host shows the line of the file. */
    larder_bytes problems_json;
} larder_error;

#define LARDER_HEALTH_ENTRIES 1u /* entries is known */
#define LARDER_HEALTH_BYTES 2u   /* bytes is known */

typedef struct larder_health {
    uint32_t struct_size;
    uint32_t flags;
    uint64_t entries;
    uint64_t bytes;
    uint64_t corrupt;      /* entries that could not be read since the start */
    larder_bytes degraded; /* why it works worse than it should; empty if it does not */
} larder_health;

/* ---- what the host offers: extensible -------------------------------------------------------- */

#define LARDER_LOG_ERROR 1u
#define LARDER_LOG_WARN 2u
#define LARDER_LOG_INFO 3u
#define LARDER_LOG_DEBUG 4u
#define LARDER_LOG_TRACE 5u

typedef struct larder_host {
    uint32_t struct_size;
    uint16_t abi_major;
    uint16_t abi_minor;
    larder_slice version; /* of Larder, for logs */
    /* What is above this level is dropped: read it before formatting anything. It may change. */
    const uint32_t *max_log_level;
    void (*log)(uint64_t instance, uint32_t level, const larder_slice *target,
                const larder_slice *message, const larder_kv *fields, size_t n_fields);
    /* See ANSWER NOW OR LATER. op_defer returns 0 if the answer must come now. */
    uint64_t (*op_defer)(const larder_call *call, uint64_t token);
    int32_t (*op_is_cancelled)(uint64_t op);
    int32_t (*op_complete)(uint64_t op, int32_t status, void *out, const larder_error *error);
    /* A buffer of the host. Fill *data, and hand *out over as any other bytes. */
    int32_t (*bytes_new)(size_t len, uint8_t **data, larder_bytes *out);
    /* Runs a function on a thread that may block. */
    int32_t (*spawn_blocking)(uint64_t instance, void (*run)(void *arg), void *arg);
    int64_t (*now_us)(void);
    /* A panic was caught where no status can be returned. */
    void (*panicked)(uint64_t instance, const larder_slice *message);
    /* For invalidators and replicators, with larder_create.sink. They return when it is done, so
     * call them from a thread of the plugin: one on which the host calls a function of the plugin
     * is told LARDER_BUSY, and so is everybody before start. LARDER_TIMEOUT: it may be half done,
     * deliver it again. LARDER_CLOSED after stop, and for an instance that is gone. A batch of
     * which something cannot be read is refused as a whole. */
    int32_t (*sink_invalidate)(uint64_t sink, const larder_invalidation *events, size_t n);
    int32_t (*sink_lost_track)(uint64_t sink);
    int32_t (*sink_apply)(uint64_t sink, const larder_mutation *mutations, size_t n);
    /* Interfaces that are tried out, by name, such as "x-locks/1"; NULL if unknown. Not part of
     * what is promised. */
    const void *(*query)(const larder_slice *name);
    /* Fields of minor 1 go here, in #if LARDER_TARGET_MINOR >= 1 ... #endif */
} larder_host;

/* What an instance is made from. Valid until create returns, but for host. */
typedef struct larder_create {
    uint32_t struct_size;
    uint32_t flags;
    uint64_t instance;        /* its number, for log, panicked and spawn_blocking */
    uint64_t sink;            /* 0 for none */
    const larder_host *host;  /* valid as long as the process lives */
    larder_slice cache;       /* the name of the cache */
    larder_slice config_json; /* the options: an object that the schema of the component allows */
    uint64_t max_value_bytes; /* LARDER_UNLIMITED if there is no limit */
    uint64_t capacity_entries; /* of a policy: what its shard may hold; LARDER_UNLIMITED */
    uint64_t capacity_weight;
    int64_t now_us;            /* as in larder_call */
} larder_create;

/* ---- the six kinds: extensible ----------------------------------------------------------------
 *
 * ANSWER NOW OR LATER. A function with a larder_call may
 *   - answer at once: fill in what it puts out, and return LARDER_OK, LARDER_MISS or an error; or
 *   - op = host->op_defer(call, token); copy what is needed; return LARDER_PENDING; and later, once
 *     and from any thread, host->op_complete(op, status, out, error).
 * out points to what the function would have filled in, NULL if nothing. When op_complete returns
 * LARDER_OK the host has taken it over; else it still belongs to the plugin: the answer came twice,
 * or after the deadline, when nobody waits any more. An op is a number that is never used again, so
 * a late answer does no harm. op_complete may come before the function returns.
 *
 * The host reads out and error once whatever the status is, and releases all that they own: zero
 * what is not filled in. larder_reads has as many reads as the call has keys, and at once they are
 * the arrays of the host. out, scratch and error of a call end with the function, so a later answer
 * brings structs of the plugin's own, with scratch NULL.
 *
 * cancel(self, token) says that nobody waits any more. A token is a number that the plugin looks
 * up, never a pointer that it follows: cancel may come during or after an op_complete that says
 * LARDER_CLOSED. It does not come to an instance that panicked.
 *
 * start, flush and close of any kind may be NULL: there is nothing to do. So may cancel.
 */
#define LARDER_KIND_BACKEND 1u
#define LARDER_KIND_POLICY 2u
#define LARDER_KIND_CODEC 3u
#define LARDER_KIND_INVALIDATOR 4u
#define LARDER_KIND_WARMER 5u
#define LARDER_KIND_REPLICATOR 6u

/* What a component can do. The host never uses what is not declared. */
#define LARDER_CAP_POLICY (UINT64_C(1) << 0)
#define LARDER_CAP_TTL (UINT64_C(1) << 1)   /* removes entries at their hard_us by itself */
#define LARDER_CAP_TOUCH (UINT64_C(1) << 2) /* touch */
#define LARDER_CAP_TAGS (UINT64_C(1) << 3)
#define LARDER_CAP_SCAN (UINT64_C(1) << 4)  /* scan */
#define LARDER_CAP_BATCH (UINT64_C(1) << 5) /* get_many, set_many, remove_many are cheaper */
#define LARDER_CAP_PERSIST (UINT64_C(1) << 6) /* entries survive the end of the process */
#define LARDER_CAP_SHARED (UINT64_C(1) << 7)  /* other processes see the same entries */
#define LARDER_CAP_PUT_IF_NEWER (UINT64_C(1) << 9) /* put_if_newer */
#define LARDER_CAP_LEASE (UINT64_C(1) << 10)       /* lease, fill, release */
#define LARDER_CAP_HEADER_READ (UINT64_C(1) << 11) /* get_head */
/* Never LARDER_PENDING and never waits: may be called where a caller waits for memory only. */
#define LARDER_CAP_SYNC (UINT64_C(1) << 32)
/* May block its thread: the host calls it on threads that are there for this. */
#define LARDER_CAP_BLOCKING (UINT64_C(1) << 33)

/* Keeps entries. A failed set leaves the new entry or none, never the one of before. */
typedef struct larder_backend_vt {
    uint32_t struct_size;
    uint32_t flags;
    int32_t (*create)(const larder_create *args, void **self, larder_error *error);
    void (*destroy)(void *self);
    int32_t (*get)(void *self, const larder_call *call, const larder_key *key, larder_read *out,
                   larder_error *error);
    int32_t (*set)(void *self, const larder_call *call, const larder_key *key,
                   const larder_entry *entry, larder_error *error);
    int32_t (*remove)(void *self, const larder_call *call, const larder_key *key,
                      larder_error *error);
    /* Removes every entry of this cache. */
    int32_t (*clear)(void *self, const larder_call *call, larder_error *error);
    /* What follows may be NULL: the host does without. */
    int32_t (*exists)(void *self, const larder_call *call, const larder_key *key,
                      larder_error *error);
    int32_t (*get_many)(void *self, const larder_call *call, const larder_key *keys,
                        larder_reads *out, larder_error *error);
    int32_t (*set_many)(void *self, const larder_call *call, const larder_key *keys,
                        const larder_entry *entries, size_t n, larder_error *error);
    int32_t (*remove_many)(void *self, const larder_call *call, const larder_key *keys, size_t n,
                           uint64_t *removed, larder_error *error);
    int32_t (*touch)(void *self, const larder_call *call, const larder_key *key, int64_t soft_us,
                     int64_t hard_us, larder_error *error);
    /* cursor is that of the page before, empty for the first. Keys that begin otherwise than
     * prefix may be listed too. limit may be 0: as many as the plugin likes, about 1000. A page of
     * more than 4 * limit + 1000 keys is an error, and so is one whose next is its cursor. */
    int32_t (*scan)(void *self, const larder_call *call, const larder_slice *prefix,
                    const larder_slice *cursor, size_t limit, larder_page *out,
                    larder_error *error);
    /* LARDER_MISS if an entry of the same or a greater version is there. */
    int32_t (*put_if_newer)(void *self, const larder_call *call, const larder_key *key,
                            const larder_entry *entry, larder_error *error);
    int32_t (*lease)(void *self, const larder_call *call, const larder_key *key,
                     int64_t duration_us, larder_lease *out, larder_error *error);
    /* Checks the lease and stores in one step. LARDER_MISS if the lease is over. */
    int32_t (*fill)(void *self, const larder_call *call, const larder_key *key,
                    const larder_entry *entry, uint64_t token, larder_error *error);
    int32_t (*release)(void *self, const larder_call *call, const larder_key *key, uint64_t token,
                       larder_error *error);
    /* As get, but only the first len bytes of the value, or all if it is shorter. */
    int32_t (*get_head)(void *self, const larder_call *call, const larder_key *key, size_t len,
                        larder_read *out, larder_error *error);
    int32_t (*health)(void *self, const larder_call *call, larder_health *out,
                      larder_error *error);
    int32_t (*start)(void *self, const larder_call *call, larder_error *error);
    int32_t (*flush)(void *self, const larder_call *call, larder_error *error);
    int32_t (*close)(void *self, const larder_call *call, larder_error *error);
    void (*cancel)(void *self, uint64_t token);
} larder_backend_vt;

/* What the host does by itself when an entry is hit, so that no code of a policy runs then. */
#define LARDER_HIT_NONE 0u
#define LARDER_HIT_BIT 1u     /* sets the counter of the entry to 1 */
#define LARDER_HIT_COUNTER 2u /* adds 1 to it, up to hit_max */
#define LARDER_HIT_RECORD 3u  /* writes the slot down for on_hits, which comes in batches */
#define LARDER_HIT_EXCLUSIVE 4u /* calls on_hits at once: slow */

/* What a policy may ask about the entries of its shard. Valid until the function returns. */
typedef struct larder_slots {
    uint32_t struct_size;
    uint32_t flags;
    void *shard;
    uint32_t (*hits)(void *shard, uint32_t slot); /* the counter, 0 to 255 */
    void (*set_hits)(void *shard, uint32_t slot, uint32_t hits);
    uint64_t (*hash)(void *shard, uint32_t slot);
    uint32_t (*weight)(void *shard, uint32_t slot);
    int64_t (*deadline_us)(void *shard, uint32_t slot);
    int32_t (*is_pinned)(void *shard, uint32_t slot); /* 0 or 1 */
    uint32_t (*random)(void *shard, uint32_t bound);  /* below bound, which must not be 0 */
} larder_slots;

/* Says which entry has to go. It sees numbers of slots, which are used again when their entry is
 * gone. An instance serves one shard. */
typedef struct larder_policy_vt {
    uint32_t struct_size;
    uint32_t hit_mode; /* LARDER_HIT_... */
    uint32_t hit_max;
    uint32_t reserved;
    int32_t (*create)(const larder_create *args, void **self, larder_error *error);
    void (*destroy)(void *self);
    void (*on_insert)(void *self, uint32_t slot, const larder_slots *slots);
    /* evicted is 1 if this policy chose it. */
    void (*on_remove)(void *self, uint32_t slot, int32_t evicted, const larder_slots *slots);
    /* Names an entry that is not pinned, and leaves it in its books; LARDER_MISS if there is none. */
    int32_t (*victim)(void *self, const larder_slots *slots, uint32_t *slot);
    void (*resize)(void *self, uint64_t entries, uint64_t weight);
    /* How many entries it keeps books about. */
    uint64_t (*len)(void *self);
    /* Oldest first. May be NULL without LARDER_HIT_RECORD and LARDER_HIT_EXCLUSIVE. */
    void (*on_hits)(void *self, const uint32_t *hits, size_t n, const larder_slots *slots);
    /* 1 if a new key should take the place of the victim, else 0. NULL is always 1. */
    int32_t (*admit)(void *self, uint64_t hash, uint32_t weight, uint32_t victim,
                     const larder_slots *slots);
} larder_policy_vt;

/* A serializer: encode gets a value as MessagePack, structs as maps; decode gives it back. */
#define LARDER_CODEC_SERIALIZER 1u
/* Wrappers: bytes to bytes, around a serializer. */
#define LARDER_CODEC_COMPRESS 2u
#define LARDER_CODEC_ENCRYPT 3u
#define LARDER_CODEC_ENCODE 4u

/* Where the bytes belong. The same for encode and decode. */
typedef struct larder_codec_context {
    uint32_t struct_size;
    uint32_t format;       /* the number of the serializer */
    larder_slice cache;
    larder_slice key;
    const uint16_t *inner; /* the numbers of the wrappers further in, the outermost first */
    size_t n_inner;
    uint64_t max_size;     /* the most bytes that decode may put out */
} larder_codec_context;

typedef struct larder_codec_vt {
    uint32_t struct_size;
    uint32_t model; /* LARDER_CODEC_... */
    /* Marks what it wrote, for ever: 0x8000 to 0xffff, or 0 for one made from its name. */
    uint32_t number;
    uint32_t reserved;
    int32_t (*create)(const larder_create *args, void **self, larder_error *error);
    void (*destroy)(void *self);
    int32_t (*encode)(void *self, const larder_codec_context *context, const larder_slice *in,
                      larder_output *out, larder_error *error);
    int32_t (*decode)(void *self, const larder_codec_context *context, const larder_slice *in,
                      larder_output *out, larder_error *error);
} larder_codec_vt;

/* Turns facts from outside into invalidations (host->sink_invalidate), and tells others of ours. */
typedef struct larder_invalidator_vt {
    uint32_t struct_size;
    uint32_t flags;
    int32_t (*create)(const larder_create *args, void **self, larder_error *error);
    void (*destroy)(void *self);
    int32_t (*start)(void *self, const larder_call *call, larder_error *error);
    int32_t (*publish)(void *self, const larder_call *call, const larder_invalidation *event,
                       larder_error *error);
    /* After it the sink is not called any more. */
    int32_t (*stop)(void *self, const larder_call *call, larder_error *error);
    /* 1 if a pattern of its own language matches the key, else 0. NULL is the glob of the host. */
    int32_t (*matches)(void *self, const larder_slice *pattern, const larder_slice *key);
    void (*cancel)(void *self, uint64_t token);
} larder_invalidator_vt;

#define LARDER_WARM_DEMAND 1u
#define LARDER_WARM_FAILOVER 2u
#define LARDER_WARM_SCHEDULE 3u
#define LARDER_WARM_STARTUP 4u

typedef struct larder_warm_stats {
    uint32_t struct_size;
    uint32_t flags;
    uint64_t named, warmed, skipped, failed;
    uint64_t elapsed_us;
} larder_warm_stats;

/* Names the keys that should be there before anybody asks. */
typedef struct larder_warmer_vt {
    uint32_t struct_size;
    uint32_t flags;
    int32_t (*create)(const larder_create *args, void **self, larder_error *error);
    void (*destroy)(void *self);
    /* Begins a run. estimate: about how many keys, LARDER_UNLIMITED if unknown. */
    int32_t (*begin)(void *self, uint32_t trigger, void **run, uint64_t *estimate,
                     larder_error *error);
    /* The next batch; LARDER_MISS at the end. */
    int32_t (*next)(void *self, void *run, const larder_call *call, larder_warm_batch *out,
                    larder_error *error);
    /* Ends a run at any point; stats is NULL if it was given up. Every next of it has returned, and
     * what it put off was answered, or cancel for it has returned: after that nothing of the plugin
     * may use the run. A warmer without cancel answers at once. */
    void (*end)(void *self, void *run, const larder_warm_stats *stats);
    void (*cancel)(void *self, uint64_t token);
} larder_warmer_vt;

/* Carries changes to other sites, and brings theirs (host->sink_apply). */
typedef struct larder_replicator_vt {
    uint32_t struct_size;
    uint32_t flags;
    int32_t (*create)(const larder_create *args, void **self, larder_error *error);
    void (*destroy)(void *self);
    int32_t (*start)(void *self, const larder_call *call, larder_error *error);
    /* Takes changes over without waiting for any target. */
    int32_t (*send)(void *self, const larder_call *call, const larder_mutation *mutations, size_t n,
                    larder_error *error);
    /* [{"target": "eu", "queued": 0, "lag_us": 0, "dirty": false, "error": null}, ...] */
    int32_t (*status)(void *self, larder_bytes *out_json);
    /* Sends what is queued until the deadline of the call. */
    int32_t (*stop)(void *self, const larder_call *call, larder_error *error);
    void (*cancel)(void *self, uint64_t token);
} larder_replicator_vt;

/* ---- descriptors: extensible ----------------------------------------------------------------- */

typedef struct larder_component {
    uint32_t struct_size;
    uint32_t kind; /* LARDER_KIND_... */
    uint64_t caps; /* LARDER_CAP_... */
    /* What the config names: vendor.kind, of a-z, 0-9, '-' and '.', 64 characters at most. */
    larder_slice name;
    larder_slice summary; /* one sentence, lower case, no full stop */
    const void *vtable;   /* the larder_..._vt of its kind */
    /* JSON schema of its options, draft 7 or later: an object. It stays valid. NULL: no options. */
    int32_t (*config_schema)(larder_slice *out);
    /* What the schema cannot express; may be NULL. No I/O. */
    int32_t (*validate)(const larder_slice *config_json, larder_error *error);
} larder_component;

typedef struct larder_plugin {
    uint32_t struct_size;
    uint16_t abi_major;
    uint16_t abi_minor;
    uint16_t requires_host_minor; /* what it cannot do without */
    uint16_t flags;
    uint32_t reserved;
    larder_slice name;       /* the same as in the stamp */
    larder_slice version;
    larder_slice build_json; /* {"compiler": "...", ...}, for `larder plugins info` */
    const larder_component *const *components;
    size_t n_components;
    /* Stops every thread of the plugin; may be NULL. Called once, when the process ends by itself:
     * not if it is killed. Instances that nobody destroyed are still there, and threads of the host
     * may call them meanwhile. Nobody waits longer than until the deadline. */
    int32_t (*shutdown)(int64_t deadline_us);
    const void *(*query)(const larder_slice *name); /* as larder_host.query; may be NULL */
} larder_plugin;

/* The one exported function. The major version is in its name. The host checks *out. */
LARDER_EXPORT int32_t larder_entry_v1(const larder_host *host, const larder_plugin **out,
                                      larder_error *error);

/* ---- the stamp: frozen, read from the file --------------------------------------------------- */

#define LARDER_STAMP_MAGIC \
    { 0x89, 'L', 'D', 'R', '-', 'P', 'L', 'U', 'G', 'I', 'N', 0x0d, 0x0a, 0x1a, 0x0a, 0x00 }
#define LARDER_LAYOUT_LEN 28

#define LARDER_UNWINDS_NOT_RUST 0u
#define LARDER_UNWINDS_YES 1u
#define LARDER_UNWINDS_ABORT 2u /* a panic ends the process */

/* No pointers, so that its bytes in the file are those in memory. */
typedef struct larder_stamp {
    uint8_t magic[16];
    uint32_t stamp_size;
    uint16_t abi_major;
    uint16_t abi_minor;
    uint16_t requires_host_minor;
    uint8_t ptr_size;
    uint8_t big_endian;
    uint8_t unwinds;
    uint8_t reserved[3];
    uint32_t layout[LARDER_LAYOUT_LEN]; /* as the compiler of the plugin sees it */
    char target[32];
    char name[64];
} larder_stamp;

#define LARDER_LAYOUT \
    { sizeof(larder_slice), sizeof(larder_bytes), sizeof(larder_key), sizeof(larder_kv), \
      sizeof(larder_version), sizeof(larder_entry), sizeof(larder_output), sizeof(larder_read), \
      sizeof(larder_reads), sizeof(larder_page), sizeof(larder_lease), \
      sizeof(larder_invalidation), sizeof(larder_mutation), sizeof(larder_warm_item), \
      sizeof(larder_warm_batch), sizeof(larder_call), sizeof(larder_error), \
      sizeof(larder_health), sizeof(larder_host), sizeof(larder_create), \
      sizeof(larder_backend_vt), sizeof(larder_policy_vt), sizeof(larder_codec_vt), \
      sizeof(larder_invalidator_vt), sizeof(larder_warmer_vt), sizeof(larder_replicator_vt), \
      sizeof(larder_component), sizeof(larder_plugin) }

#ifdef __cplusplus
#define LARDER_STAMP_DECLARE extern "C"
#else
#define LARDER_STAMP_DECLARE extern
#endif
#if defined(_WIN32)
#define LARDER_STAMP_SECTION
#elif defined(__APPLE__)
#define LARDER_STAMP_SECTION __attribute__((used, section("__TEXT,__larder_stamp")))
#else
#define LARDER_STAMP_SECTION __attribute__((used, section(".larder_stamp")))
#endif

#if defined(__BYTE_ORDER__) && defined(__ORDER_BIG_ENDIAN__) && \
    __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define LARDER_IS_BIG_ENDIAN 1
#else
#define LARDER_IS_BIG_ENDIAN 0
#endif

/* Once in a plugin, at file level: its name, what it is built for (such as
 * "x86_64-unknown-linux-gnu"), and the oldest minor version of a host that it works with. */
#define LARDER_DEFINE_STAMP(NAME, TARGET, HOST_MINOR) \
    LARDER_STAMP_DECLARE LARDER_EXPORT const larder_stamp larder_stamp_v1; \
    LARDER_STAMP_SECTION const larder_stamp larder_stamp_v1 = { \
        LARDER_STAMP_MAGIC, (uint32_t)sizeof(larder_stamp), LARDER_ABI_MAJOR, \
        LARDER_TARGET_MINOR, (HOST_MINOR), (uint8_t)sizeof(void *), LARDER_IS_BIG_ENDIAN, \
        LARDER_UNWINDS_NOT_RUST, { 0, 0, 0 }, LARDER_LAYOUT, TARGET, NAME }

/* ---- helpers --------------------------------------------------------------------------------- */

/* Whether a function pointer or pointer FIELD of an extensible struct is there and not NULL. */
#define LARDER_HAS(p, type, field) \
    ((p) && offsetof(type, field) + sizeof((p)->field) <= (p)->struct_size && (p)->field)

/* A larder_slice from a literal, in an initializer. */
#define LARDER_STR(literal) { (const uint8_t *)(literal), sizeof(literal) - 1 }

#ifdef __cplusplus
}
#endif
#endif /* LARDER_PLUGIN_H */
