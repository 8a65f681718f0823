/* Runs a network, image by image through all layers, so that activations stay in the cache. */
#include "state.h"

static int plan_sides(const ec_net *net, uint32_t height, uint32_t width, ec_net_sides *sides) {
    sides[0] = (ec_net_sides){height, width};
    for (uint32_t a = 0;; a++) {
        if (sides[a].height == 0 || sides[a].width == 0 || sides[a].height > EC_NET_MAX_SIDE ||
            sides[a].width > EC_NET_MAX_SIDE)
            return EC_NET_ERR_ARGUMENT;
        if (a == net->count) return EC_NET_OK;
        const ec_net_step *step = net->steps + a;
        sides[a + 1] = (ec_net_sides){sides[a].height / step->stride * step->spacing,
                                      sides[a].width / step->stride * step->spacing};
        if (step->skip >= 0 && (sides[step->skip].height != sides[a + 1].height ||
                                sides[step->skip].width != sides[a + 1].width))
            return EC_NET_ERR_ARGUMENT;
    }
}

int ec_net_output_size(const ec_net *net, uint32_t height, uint32_t width, uint32_t *out_height,
                       uint32_t *out_width) {
    ec_net_sides sides[EC_NET_MAX_LAYERS + 1];
    const int status = plan_sides(net, height, width, sides);
    if (status != EC_NET_OK) return status;
    *out_height = sides[net->count].height;
    *out_width = sides[net->count].width;
    return EC_NET_OK;
}

static size_t aligned(size_t bytes) { return (bytes + EC_NET_ALIGN - 1) / EC_NET_ALIGN * EC_NET_ALIGN; }

/* Numbers of an activation with its border. At most 2^20 + 2 pixels a side and 2^12 channels: below 2^53. */
static uint64_t numbers_of(const ec_net_activation *a, ec_net_sides sides) {
    return (uint64_t)(sides.height + 2) * (sides.width + 2) * a->stride;
}

/* Most that a line of tiles takes in Winograd's convolution. */
static uint64_t transformed_bytes(const ec_net *net, const ec_net_sides *sides) {
    uint64_t most = 0;
    for (uint32_t i = 0; i < net->count; i++) {
        if (net->steps[i].pass->points == NULL) continue;
        const uint64_t line = (uint64_t)sides[i].width / 2 * net->activations[i].stride + EC_NET_SLACK;
        if (16 * line * sizeof(int16_t) > most) most = 16 * line * sizeof(int16_t);
    }
    return most;
}

static int plan(const ec_net *net, uint32_t height, uint32_t width, ec_net_plan *p) {
    const int status = plan_sides(net, height, width, p->sides);
    if (status != EC_NET_OK) return status;
    uint64_t sizes[EC_NET_MAX_LAYERS + 1] = {0};
    for (uint32_t a = 0; a <= net->count; a++) {
        const uint64_t size =
            aligned((size_t)(numbers_of(net->activations + a, p->sides[a]) + EC_NET_SLACK) * sizeof(int16_t));
        if (size > sizes[net->activations[a].slot]) sizes[net->activations[a].slot] = size;
    }
    uint64_t at = 0;
    for (uint32_t slot = 0; slot < net->slots; slot++) {
        p->slot[slot] = (size_t)at;
        at += sizes[slot];
    }
    p->turned = (size_t)at;
    const uint32_t pairs = net->search.pairs > net->head.pairs ? net->search.pairs : net->head.pairs;
    at += aligned((size_t)pairs * 4 * net->kernels->lanes * sizeof(int16_t));
    p->transformed = (size_t)at;
    at += aligned((size_t)transformed_bytes(net, p->sides));
    p->products = (size_t)at;
    at += (uint64_t)16 * net->kernels->tiles * 2 * net->kernels->lanes * sizeof(int32_t);
    if (at > SIZE_MAX / 2) return EC_NET_ERR_ARGUMENT;
    p->bytes = (size_t)at + EC_NET_ALIGN - 1;
    return EC_NET_OK;
}

size_t ec_net_scratch(const ec_net *net, uint32_t height, uint32_t width) {
    ec_net_plan p;
    return plan(net, height, width, &p) == EC_NET_OK ? p.bytes : 0;
}

static void run_layer(const ec_net_state *s, uint32_t number) {
    const ec_net_step *step = s->net->steps + number;
    const ec_net_activation *in = s->net->activations + number, *out = in + 1;
    const ec_net_sides from = s->plan->sides[number];
    ec_net_clear_border(s, number + 1);
    for (uint32_t p = 0; p < step->passes; p++) {
        const ec_net_pass *pass = step->pass + p;
        const int is_winograd = pass->points != NULL && from.height % 2 == 0 && from.width % 2 == 0;
        const ec_net_job job = {
            .in = ec_net_at(s, number, pass->from_y, pass->from_x),
            .out = ec_net_at(s, number + 1, 1 + pass->to_y, 1 + pass->to_x),
            .skip =
                step->skip < 0 ? NULL : ec_net_at(s, (uint32_t)step->skip, 1 + pass->to_y, 1 + pass->to_x),
            .in_step = (ptrdiff_t)step->stride * in->stride,
            .in_line = (ptrdiff_t)step->stride * ec_net_line(s, number),
            .window_line = ec_net_line(s, number),
            .out_step = (ptrdiff_t)step->spacing * out->stride,
            .out_line = (ptrdiff_t)step->spacing * ec_net_line(s, number + 1),
            .height = from.height / step->stride,
            .width = from.width / step->stride,
            .rows = pass->rows,
            .pairs = (is_winograd ? 1 : pass->columns) * in->stride / 2,
            .kept = out->stride,
            .weight = is_winograd ? pass->points : pass->weight,
            .blocks = pass->blocks,
            .transformed = (int16_t *)(s->scratch + s->plan->transformed),
            .products = (int32_t *)(s->scratch + s->plan->products)};
        if (is_winograd)
            s->net->kernels->winograd(&job);
        else
            s->net->kernels->convolve(&job);
    }
}

/* A job of rows on the last activation that layers wrote. */
static ec_net_rows_job rows_job(const ec_net_state *s, const ec_net_rows *rows, uint32_t group) {
    const uint32_t a = s->net->count;
    return (ec_net_rows_job){.rows = rows,
                             .group = group,
                             .in = ec_net_at(s, a, 1, 1) + (size_t)group * rows->dim,
                             .step = s->net->activations[a].stride,
                             .line = ec_net_line(s, a),
                             .height = s->plan->sides[a].height,
                             .width = s->plan->sides[a].width,
                             .turned = (int16_t *)(s->scratch + s->plan->turned)};
}

static int begin(const ec_net *net, int form, uint32_t height, uint32_t width, void *scratch, size_t bytes,
                 ec_net_plan *p, ec_net_state *s) {
    if (net->form != form) return EC_NET_ERR_ARGUMENT;
    const int status = plan(net, height, width, p);
    if (status != EC_NET_OK) return status;
    if (bytes < p->bytes) return EC_NET_ERR_SCRATCH;
    uint8_t *from = scratch;
    from += (EC_NET_ALIGN - (uintptr_t)from % EC_NET_ALIGN) % EC_NET_ALIGN;
    *s = (ec_net_state){net, p, from};
    return EC_NET_OK;
}

static void run_layers(const ec_net_state *s) {
    for (uint32_t i = 0; i < s->net->count; i++) run_layer(s, i);
}

static size_t pixels_in(const ec_net_plan *p, uint32_t a) {
    return (size_t)p->sides[a].height * p->sides[a].width;
}

int ec_net_run(const ec_net *net, const int16_t *in, size_t images, uint32_t height, uint32_t width,
               int16_t *out, void *scratch, size_t bytes) {
    ec_net_plan p;
    ec_net_state s;
    const int status = begin(net, FORM_PLAIN, height, width, scratch, bytes, &p, &s);
    if (status != EC_NET_OK) return status;
    const size_t taken = pixels_in(&p, 0) * net->activations[0].channels;
    const size_t given = pixels_in(&p, net->count) * net->activations[net->count].channels;
    for (size_t n = 0; n < images; n++, in += taken, out += given) {
        ec_net_load_activations(&s, in);
        run_layers(&s);
        ec_net_store_activations(&s, out);
    }
    return EC_NET_OK;
}

int ec_net_analyse(const ec_net *net, const uint8_t *in, size_t images, uint32_t height, uint32_t width,
                   uint16_t *indices, void *scratch, size_t bytes) {
    ec_net_plan p;
    ec_net_state s;
    const int status = begin(net, FORM_ANALYSIS, height, width, scratch, bytes, &p, &s);
    if (status != EC_NET_OK) return status;
    for (size_t n = 0; n < images; n++, in += pixels_in(&p, 0) * net->activations[0].channels) {
        ec_net_load_image(&s, in);
        run_layers(&s);
        for (uint32_t g = 0; g < net->search.groups; g++, indices += pixels_in(&p, net->count)) {
            ec_net_rows_job job = rows_job(&s, &net->search, g);
            job.indices = indices;
            net->kernels->search(&job);
        }
    }
    return EC_NET_OK;
}

int ec_net_synthesise(const ec_net *net, const uint16_t *indices, size_t images, uint32_t height,
                      uint32_t width, int16_t *logits, uint8_t *scales, void *scratch, size_t bytes) {
    ec_net_plan p;
    ec_net_state s;
    int status = begin(net, FORM_SYNTHESIS, height, width, scratch, bytes, &p, &s);
    if (status != EC_NET_OK) return status;
    const uint32_t outputs = net->head.size > 0 ? net->head.size : net->activations[net->count].channels;
    const size_t given = pixels_in(&p, net->count) * (outputs / 2);
    for (size_t n = 0; n < images; n++, logits += given, scales += given) {
        status = ec_net_load_codes(&s, indices);
        if (status != EC_NET_OK) return status;
        indices += pixels_in(&p, 0) * net->table_groups;
        run_layers(&s);
        if (net->head.size > 0) {
            ec_net_rows_job job = rows_job(&s, &net->head, 0);
            job.logits = logits;
            job.scales = scales;
            net->kernels->head(&job);
        } else
            ec_net_store_parameters(&s, logits, scales);
    }
    return EC_NET_OK;
}
