/* metrics.h - a status document as Prometheus' text format, for node_exporter's textfile collector.
 * Source: prometheus.io/docs/instrumenting/exposition_formats, "Text-based format". */
#ifndef LARDER_METRICS_H
#define LARDER_METRICS_H

#include "cache/base/json.h"

/* The caller frees. What the document does not say is left out. */
char *metrics_text(const json_t *document);

#endif
