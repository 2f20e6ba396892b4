// A look-up every cycle in a cuckoo table of two choices.
//
// The key goes through two CRCs, each result addresses a memory of its own, all slots of both buckets are compared at once, and the
// first that matches (first choice before second, low slots before high ones) is the result. A write changes one slot a
// cycle; a read of the same cycle sees what was there before.
//
// The 384 bits of a key are its 48 bytes, byte 0 in the low bits. Every stage is registered: the latency is
// HASH_CYCLES + READ_CYCLES + COMPARE_CYCLES, each at least 1.
module cuckoo_lookup #(
    parameter int unsigned BUCKET_BITS = 7,
    parameter int unsigned SLOTS = 4,
    parameter int unsigned HASH_CYCLES = 3,
    parameter int unsigned READ_CYCLES = 3,
    parameter int unsigned COMPARE_CYCLES = 2,
    parameter logic [31:0] SEED_1 = 32'h5bd1e995,
    parameter logic [31:0] SEED_2 = 32'h9747b28c
) (
    input  logic         clk,
    input  logic         rst,
    // A look-up.
    input  logic         lookup_valid,
    input  logic [383:0] lookup_key,
    // A write: an entry, or an empty slot if write_used is low. Slots are numbered bucket by bucket, the first memory first.
    input  logic         write_valid,
    input  logic         write_used,
    input  logic [31:0]  write_slot,
    input  logic [383:0] write_key,
    // What a look-up found.
    output logic         result_valid,
    output logic         result_hit,
    output logic [31:0]  result_slot
);
    localparam int unsigned BUCKETS = 1 << BUCKET_BITS;
    localparam logic [31:0] CRC_32C = 32'h82f63b78;
    localparam logic [31:0] CRC_32 = 32'hedb88320;

    // A reflected CRC of all bytes; the seed is the register's start value, its bits in the other order.
    function automatic logic [31:0] crc(input logic [383:0] key, input logic [31:0] polynomial, input logic [31:0] seed);
        logic [31:0] register;
        for (int i = 0; i < 32; i++) register[i] = seed[31 - i];
        for (int i = 0; i < 384; i++) begin
            if (register[0] ^ key[i]) register = (register >> 1) ^ polynomial;
            else register = register >> 1;
        end
        return ~register;
    endfunction

    typedef struct packed {
        logic         valid;
        logic [383:0] key;
        logic [31:0]  first;
        logic [31:0]  second;
    } hashed_t;

    // Hash: computed in the first stage, the others stand for its depth.
    hashed_t hashed [HASH_CYCLES];
    always_ff @(posedge clk) begin
        hashed[0].valid <= lookup_valid && !rst;
        hashed[0].key <= lookup_key;
        hashed[0].first <= crc(lookup_key, CRC_32C, SEED_1);
        hashed[0].second <= crc(lookup_key, CRC_32, SEED_2);
        for (int i = 1; i < HASH_CYCLES; i++) begin
            hashed[i] <= hashed[i-1];
            if (rst) hashed[i].valid <= 1'b0;
        end
    end

    // Two memories. A slot is a valid bit, the tag, and the key; only the valid bits are reset.
    logic [2*BUCKETS*SLOTS-1:0] used;
    logic [15:0]                tags [2*BUCKETS*SLOTS];
    logic [383:0]               keys [2*BUCKETS*SLOTS];

    function automatic logic [15:0] tag_of(input logic [31:0] first);
        return first[31:16] == 16'h0 ? 16'h1 : first[31:16];
    endfunction

    typedef struct packed {
        logic                           valid;
        logic [383:0]                   key;
        logic [15:0]                    tag;
        logic [1:0][BUCKET_BITS-1:0]    bucket;
        logic [1:0][SLOTS-1:0]          used;
        logic [1:0][SLOTS-1:0][15:0]    tags;
        logic [1:0][SLOTS-1:0][383:0]   keys;
    } read_t;

    read_t read [READ_CYCLES];
    wire [31:0] write_at = write_slot % (2 * BUCKETS * SLOTS);
    always_ff @(posedge clk) begin
        read[0].valid <= hashed[HASH_CYCLES-1].valid && !rst;
        read[0].key <= hashed[HASH_CYCLES-1].key;
        read[0].tag <= tag_of(hashed[HASH_CYCLES-1].first);
        for (int choice = 0; choice < 2; choice++) begin
            automatic logic [31:0] hash = choice == 0 ? hashed[HASH_CYCLES-1].first : hashed[HASH_CYCLES-1].second;
            automatic logic [BUCKET_BITS-1:0] bucket = hash[BUCKET_BITS-1:0];
            read[0].bucket[choice] <= bucket;
            for (int slot = 0; slot < SLOTS; slot++) begin
                read[0].used[choice][slot] <= used[(choice * BUCKETS + 32'(bucket)) * SLOTS + slot];
                read[0].tags[choice][slot] <= tags[(choice * BUCKETS + 32'(bucket)) * SLOTS + slot];
                read[0].keys[choice][slot] <= keys[(choice * BUCKETS + 32'(bucket)) * SLOTS + slot];
            end
        end
        for (int i = 1; i < READ_CYCLES; i++) begin
            read[i] <= read[i-1];
            if (rst) read[i].valid <= 1'b0;
        end
        if (rst) used <= '0;
        else if (write_valid) begin
            used[write_at] <= write_used;
            tags[write_at] <= tag_of(crc(write_key, CRC_32C, SEED_1));
            keys[write_at] <= write_key;
        end
    end

    // Compare: tag and key of all slots, then the first that matches.
    typedef struct packed {
        logic        valid;
        logic        hit;
        logic [31:0] slot;
    } result_t;

    result_t result [COMPARE_CYCLES];
    always_ff @(posedge clk) begin
        automatic result_t found = '0;
        for (int choice = 1; choice >= 0; choice--)
            for (int slot = SLOTS - 1; slot >= 0; slot--)
                if (read[READ_CYCLES-1].used[choice][slot]
                    && read[READ_CYCLES-1].tags[choice][slot] == read[READ_CYCLES-1].tag
                    && read[READ_CYCLES-1].keys[choice][slot] == read[READ_CYCLES-1].key) begin
                    found.hit = 1'b1;
                    found.slot = (choice * BUCKETS + 32'(read[READ_CYCLES-1].bucket[choice])) * SLOTS + slot;
                end
        found.valid = read[READ_CYCLES-1].valid && !rst;
        result[0] <= found;
        for (int i = 1; i < COMPARE_CYCLES; i++) begin
            result[i] <= result[i-1];
            if (rst) result[i].valid <= 1'b0;
        end
    end

    assign result_valid = result[COMPARE_CYCLES-1].valid;
    assign result_hit = result[COMPARE_CYCLES-1].hit;
    assign result_slot = result[COMPARE_CYCLES-1].slot;
endmodule
