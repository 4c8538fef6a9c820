// What is read from weight files: their indices, and packs made from recipes.
#include <map>

#include "native/addon/handle.h"
#include "native/addon/methods.h"
#include "native/core/recipe.h"
#include "native/core/safetensors.h"

namespace irodori::addon {
namespace {

class ReadIndexJob : public Job {
 public:
  explicit ReadIndexJob(std::string path) : path_(std::move(path)) {}

  Status Work(const std::atomic<bool>& abort) override {
    IRODORI_ASSIGN(SafetensorsFile file, SafetensorsFile::Open(path_, &abort));
    entries_ = file.entries();
    return Status::Ok();
  }

  Result<napi_value> Finish(Environment& environment) override {
    napi_env env = environment.env();
    napi_value list;
    IRODORI_NAPI(napi_create_array_with_length(env, entries_.size(), &list));
    for (size_t i = 0; i < entries_.size(); ++i) {
      IRODORI_ASSIGN(napi_value entry, MakeEntry(env, entries_[i]));
      IRODORI_NAPI(napi_set_element(env, list, static_cast<uint32_t>(i), entry));
    }
    return list;
  }

  bool Short() const override { return true; }

 private:
  static Result<napi_value> MakeEntry(napi_env env, const SafetensorsEntry& entry) {
    napi_value object;
    IRODORI_NAPI(napi_create_object(env, &object));
    auto set = [&](const char* name, Result<napi_value> value) {
      return SetProperty(env, object, name, std::move(value));
    };
    IRODORI_RETURN_IF_ERROR(set("name", MakeString(env, entry.name)));
    IRODORI_RETURN_IF_ERROR(set("type", MakeString(env, entry.type)));
    const double code = entry.dtype ? static_cast<double>(*entry.dtype) : -1;
    IRODORI_RETURN_IF_ERROR(set("dtype", MakeNumber(env, code)));
    IRODORI_RETURN_IF_ERROR(set("shape", MakeNumbers(env, entry.shape)));
    IRODORI_RETURN_IF_ERROR(set("begin", MakeNumber(env, static_cast<double>(entry.begin))));
    IRODORI_RETURN_IF_ERROR(set("end", MakeNumber(env, static_cast<double>(entry.end))));
    return object;
  }

  std::string path_;
  std::vector<SafetensorsEntry> entries_;
};

class MakePackJob : public Job {
 public:
  MakePackJob(std::shared_ptr<DeviceResource> device, std::vector<std::byte> recipe,
              std::vector<std::string> files, ParamSpec spec)
      : device_(std::move(device)),
        recipe_(std::move(recipe)),
        files_(std::move(files)),
        spec_(std::move(spec)) {}

  Status Work(const std::atomic<bool>& abort) override {
    std::vector<std::shared_ptr<const SourceFile>> sources;
    for (const std::string& file : files_) {
      IRODORI_ASSIGN(std::shared_ptr<const SourceFile> source, SourceFile::Open(file));
      sources.push_back(std::move(source));
    }
    IRODORI_ASSIGN(std::unique_ptr<Recipe> recipe, Recipe::Parse(recipe_, sources));
    if (Elements(recipe->shape()) != Elements(spec_.shape)) {
      return Status(Code::kShapeMismatch,
                    "makePack: expected a recipe of " + std::to_string(Elements(spec_.shape)) +
                        " values, got " + std::to_string(Elements(recipe->shape())));
    }
    IRODORI_RETURN_IF_ERROR(recipe->Prepare(&abort));
    IRODORI_ASSIGN(std::shared_ptr<Pack> pack,
                   device_->device->MakePackFrom(spec_, *recipe, &abort));
    recipe->Finish();
    pack_ = std::make_shared<PackResource>(device_, std::move(pack));
    return Status::Ok();
  }

  Result<napi_value> Finish(Environment& environment) override {
    int64_t bytes = pack_->size_bytes;
    return Wrap(environment, std::move(pack_), bytes);
  }

 private:
  std::shared_ptr<DeviceResource> device_;
  std::vector<std::byte> recipe_;
  std::vector<std::string> files_;
  ParamSpec spec_;
  std::shared_ptr<PackResource> pack_;
};

}  // namespace

// readIndex(path, cancel): promise of [{name, type, dtype, shape, begin, end}]; dtype is -1 where
// nothing reads the type.
Result<napi_value> ReadIndex(Environment& environment, Arguments arguments) {
  IRODORI_ASSIGN(std::string path, ReadString(environment.env(), arguments[0], "readIndex: file"));
  IRODORI_ASSIGN(auto cancel, ReadHandle<Cancel>(environment, arguments[1], "readIndex: cancel"));
  return environment.Submit(environment.loader(), std::make_unique<ReadIndexJob>(std::move(path)),
                            std::move(cancel));
}

// makePack(device, recipe, files, packing, dtype, shape, cancel): promise of a pack handle.
Result<napi_value> MakePack(Environment& environment, Arguments arguments) {
  napi_env env = environment.env();
  IRODORI_ASSIGN(auto device,
                 ReadHandle<DeviceResource>(environment, arguments[0], "makePack: device"));
  IRODORI_ASSIGN(std::span<const std::byte> recipe,
                 ReadBytes(env, arguments[1], "makePack: recipe"));
  IRODORI_ASSIGN(std::vector<napi_value> names, ReadArray(env, arguments[2], "makePack: files"));
  std::vector<std::string> files;
  for (napi_value name : names) {
    IRODORI_ASSIGN(std::string file, ReadString(env, name, "makePack: files"));
    files.push_back(std::move(file));
  }
  IRODORI_ASSIGN(int64_t packing,
                 ReadInteger(env, arguments[3], 0, kPackings - 1, "makePack: packing"));
  IRODORI_ASSIGN(int64_t dtype, ReadInteger(env, arguments[4], 0, kDTypes - 1, "makePack: dtype"));
  IRODORI_ASSIGN(Shape shape, ReadShape(env, arguments[5], "makePack: shape"));
  IRODORI_ASSIGN(auto cancel, ReadHandle<Cancel>(environment, arguments[6], "makePack: cancel"));
  ParamSpec spec{static_cast<Packing>(packing), static_cast<DType>(dtype), std::move(shape)};
  auto job = std::make_unique<MakePackJob>(std::move(device),
                                           std::vector<std::byte>(recipe.begin(), recipe.end()),
                                           std::move(files), std::move(spec));
  return environment.Submit(environment.loader(), std::move(job), std::move(cancel));
}

}  // namespace irodori::addon
