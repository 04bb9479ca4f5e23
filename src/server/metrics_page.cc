#include <sys/resource.h>
#include <unistd.h>

#include <fstream>
#include <map>

#include "server/metrics.h"

namespace vortex::server {
namespace {

double as_double(int64_t value) { return static_cast<double>(value); }

void write_engine(const EngineStats& s, const EngineInfo& info, PrometheusText* out) {
  const double pages = as_double(std::max<int64_t>(s.pages_total, 1));
  const std::tuple<const char*, const char*, const char*, double> singles[] = {
      {"vllm:num_requests_running", "gauge", "Sequences in the batch.", as_double(s.running)},
      {"vllm:num_requests_waiting", "gauge", "Sequences that wait.", as_double(s.waiting)},
      {"vllm:kv_cache_usage_perc", "gauge", "Share of the KV pool in use, 0 to 1.", as_double(s.pages_used) / pages},
      {"vllm:prompt_tokens_total", "counter", "Prompt tokens taken in.", as_double(s.prompt_tokens)},
      {"vllm:generation_tokens_total", "counter", "Tokens generated.", as_double(s.generation_tokens)},
      {"vllm:prefix_cache_queries_total", "counter", "Prompt tokens looked up.", as_double(s.prefix_queries)},
      {"vllm:prefix_cache_hits_total", "counter", "Prompt tokens found.", as_double(s.prefix_hits)},
      {"vllm:num_preemptions_total", "counter", "Sequences put back for want of memory.", as_double(s.preemptions)},
      {"vllm:corrupted_requests_total", "counter", "Answers ended by a NaN.", as_double(s.corrupted_requests)},
      {"vortex:kv_pages", "gauge", "Slabs of the KV pool.", as_double(s.pages_total)},
      {"vortex:kv_pages_used", "gauge", "Slabs that sequences hold.", as_double(s.pages_used)},
      {"vortex:kv_pages_cached", "gauge", "Slabs kept for later prompts only.", as_double(s.pages_cached)},
      {"vortex:sparse_pages_held_total", "counter", "Pages there were, over steps, sparse layers and rows.",
       as_double(s.sparse_pages_held)},
      {"vortex:sparse_pages_read_total", "counter", "Pages that attention read of them: the budgets.",
       as_double(s.sparse_pages_read)},
      {"vortex:sparse_decodes_total", "counter", "Decode steps of sequences that read a selection.",
       as_double(s.decodes_sparse)},
      {"vortex:dense_fallbacks_total", "counter", "Decode steps with fewer pages than the budget: all were read.",
       as_double(s.decodes_dense)},
      {"vortex:selection_seconds_total", "counter", "Time in scoring and choosing pages.", s.selection_s},
      {"vortex:step_seconds_total", "counter", "Time in steps of the engine.", s.step_s},
      {"vortex:model_load_seconds", "gauge", "Time that loading took.", info.load_s},
  };
  for (const auto& [name, type, help, value] : singles) out->single(name, type, help, value);
  out->family("vllm:iteration_tokens_total", "histogram", "Tokens of a step.");
  const std::vector<double> bounds(EngineStats::kIterationBuckets.begin(), EngineStats::kIterationBuckets.end());
  out->sample(Histogram(bounds, {s.iteration_counts.begin(), s.iteration_counts.end()}, as_double(s.iteration_tokens)));
}

void write_http(const HttpStats& stats, PrometheusText* out) {
  out->family("http_requests_total", "counter", "HTTP requests by route and class of status.");
  for (const RouteStats& route : stats.routes)
    for (size_t i = 0; i < route.by_class.size(); ++i)
      if (route.by_class[i] > 0)
        out->sample(as_double(route.by_class[i]),
                    {{"handler", route.path}, {"method", route.method}, {"status", std::to_string(i + 1) + "xx"}});
  out->family("http_request_duration_seconds", "histogram", "From arrival to the last byte.");
  for (const RouteStats& route : stats.routes)
    out->sample(Histogram({RouteStats::kBuckets.begin(), RouteStats::kBuckets.end()},
                          {route.bucket_counts.begin(), route.bucket_counts.end()}, route.seconds_sum),
                {{"handler", route.path}, {"method", route.method}});
  out->single("vortex:http_open_connections", "gauge", "Connections open now.", as_double(stats.open_connections));
  out->single("vortex:http_connections_total", "counter", "Connections accepted.",
              as_double(stats.accepted_connections));
  out->single("vortex:http_refused_connections_total", "counter", "Connections over the cap.",
              as_double(stats.refused_connections));
  out->single("vortex:http_cut_connections_total", "counter", "Clients that read too slowly.",
              as_double(stats.cut_connections));
}

void write_process(PrometheusText* out) {
  std::ifstream statm("/proc/self/statm");
  int64_t size = 0, resident = 0;
  statm >> size >> resident;
  const auto page = static_cast<int64_t>(sysconf(_SC_PAGESIZE));
  out->single("process_virtual_memory_bytes", "gauge", "Address space.", as_double(size * page));
  rusage used = {};
  getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& time) { return as_double(time.tv_sec) + as_double(time.tv_usec) * 1e-6; };
  out->single("process_cpu_seconds_total", "counter", "Time on CPUs.", seconds(used.ru_utime) + seconds(used.ru_stime));
  out->single("process_resident_memory_bytes", "gauge", "Memory in RAM.", as_double(resident * page));
}

}  // namespace

std::string metrics_page(const std::string& model_name, const EngineStats& engine, const EngineInfo& info,
                         const RequestMetrics& requests, const HttpStats& http) {
  PrometheusText model({{"model_name", model_name}, {"engine", "0"}});
  write_engine(engine, info, &model);
  requests.write(&model);
  PrometheusText process({});
  write_http(http, &process);
  write_process(&process);
  return model.take() + process.take();
}

}  // namespace vortex::server
