// A binary CAM made of block RAM: the key is cut into bytes, each byte addresses a memory whose word has one bit per cell, and the AND
// of all words are the match lines. A look-up a cycle; a cell is emptied in one cycle (the bits of the key it held are cleared) and
// written in one cycle (those of the new key are set), so a cell in use takes two.
//
// The latency is READ_CYCLES + COMPARE_CYCLES, each at least 1; a read of the same cycle sees what was there before a write.
module bram_cam #(
    parameter int unsigned CELLS = 64,
    parameter int unsigned READ_CYCLES = 3,
    parameter int unsigned COMPARE_CYCLES = 2
) (
    input  logic         clk,
    input  logic         rst,
    input  logic         lookup_valid,
    input  logic [383:0] lookup_key,
    // A write: an entry into a free cell, or an empty cell if write_used is low.
    input  logic         write_valid,
    input  logic         write_used,
    input  logic [31:0]  write_slot,
    input  logic [383:0] write_key,
    output logic         result_valid,
    output logic         result_hit,
    output logic [31:0]  result_slot
);
    localparam int unsigned BYTES = 48;

    localparam int unsigned CELL_BITS = $clog2(CELLS);

    // What each cell holds, to know which bits to clear.
    logic [383:0] held [CELLS];
    wire [CELL_BITS-1:0] write_cell = write_slot[CELL_BITS-1:0];
    always_ff @(posedge clk) if (write_valid && write_used) held[write_cell] <= write_key;

    typedef struct packed {
        logic                        valid;
        logic [BYTES-1:0][CELLS-1:0] rows;
    } read_t;

    read_t read [READ_CYCLES];

    // One memory for each byte; block RAM begins with zeros.
    logic [BYTES-1:0][CELLS-1:0] first_rows;
    for (genvar i = 0; i < BYTES; i++) begin : byte_
        logic [CELLS-1:0] rows [256];
        initial for (int value = 0; value < 256; value++) rows[value] = '0;
        wire [7:0] row = write_used ? write_key[8*i+:8] : held[write_cell][8*i+:8];
        always_ff @(posedge clk) begin
            first_rows[i] <= rows[lookup_key[8*i+:8]];
            if (write_valid) rows[row][write_cell] <= write_used;
        end
    end

    // The first stage of the read is that of the memories themselves.
    logic first_valid;
    always_ff @(posedge clk) first_valid <= lookup_valid && !rst;
    always_comb begin
        read[0].valid = first_valid;
        read[0].rows = first_rows;
    end
    always_ff @(posedge clk) begin
        for (int i = 1; i < READ_CYCLES; i++) begin
            read[i] <= read[i-1];
            if (rst) read[i].valid <= 1'b0;
        end
    end

    typedef struct packed {
        logic        valid;
        logic        hit;
        logic [31:0] slot;
    } result_t;

    result_t result [COMPARE_CYCLES];
    always_ff @(posedge clk) begin
        automatic logic [CELLS-1:0] lines = '1;
        automatic result_t found = '0;
        for (int i = 0; i < BYTES; i++) lines &= read[READ_CYCLES-1].rows[i];
        for (int cell_ = CELLS - 1; cell_ >= 0; cell_--) if (lines[cell_]) found.slot = cell_;
        found.hit = |lines;
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
