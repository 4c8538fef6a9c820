// Cancel handles, and giving handles up.
#include "native/addon/handle.h"
#include "native/addon/methods.h"

namespace irodori::addon {

Result<napi_value> MakeCancel(Environment& environment, Arguments /*arguments*/) {
  return Wrap(environment, std::make_shared<Cancel>());
}

Result<napi_value> Abort(Environment& environment, Arguments arguments) {
  IRODORI_ASSIGN(auto cancel, ReadHandle<Cancel>(environment, arguments[0], "abort"));
  environment.Abort(cancel);
  return MakeUndefined(environment.env());
}

Result<napi_value> Release(Environment& environment, Arguments arguments) {
  IRODORI_RETURN_IF_ERROR(ReleaseHandle(environment, arguments[0]));
  return MakeUndefined(environment.env());
}

}  // namespace irodori::addon
