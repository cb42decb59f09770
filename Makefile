# make demo    denoise a sample photograph with the bundled model (installs only what inference needs)
# make test    install the rest and run the tests, on two cores
# make check   ruff, pyright, import-linter, the documentation's links
# make gpu     prove a GPU, without network: wheels from .wheels (scripts/gpu-wheels) → benchmarks/results
# make docs    the documentation as a site → site/index.html
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test check docs gpu clean

demo: .venv/demo
	$(BIN)/python examples/demo.py

test: .venv/test
	$(BIN)/python -m pytest --numprocesses 2 --dist worksteal $(PYTEST_OPTIONS)

check: .venv/test .venv/links
	scripts/check

docs: .venv/test .venv/links
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

gpu:
	scripts/gpu-install
	PYTHONSAFEPATH=1 PYTHONPATH="$(CURDIR)/.gpu/site:$(CURDIR):$$PYTHONPATH" $(PYTHON) -m benchmarks.gpu $(GPU_OPTIONS)

clean:
	rm -rf .venv .gpu build site *.egg-info

.venv/python:
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -qq --upgrade pip
	touch $@

.venv/links: .venv/python
	mkdir -p $@/n2b
	for package in runtime calibration export training; do ln -sfn ../../../$$package $@/n2b/$$package; done
	for file in __init__.py py.typed; do ln -sfn ../../../n2b/$$file $@/n2b/$$file; done

.venv/demo: .venv/python pyproject.toml
	$(BIN)/python -m pip install -qq --editable '.[demo]'
	touch $@

# The constraints name the releases that the tests are known to pass with. TensorRT's stubs, for the type
# checker, come without what they ask for, which is TensorRT itself; so does Triton's client, which asks for an
# older protobuf and runs with the newer, and a wheel of Triton's server, of which only the server is used, and
# whose Python asks for an older numpy. TensorRT-RTX builds engines without a
# GPU; where it has no wheels the tests that need it are skipped and say so. pip compiles on one core, so that is
# done afterwards on all; a file that does not compile is one that nobody imports.
.venv/test: .venv/demo scripts/constraints.txt
	$(BIN)/python -m pip install -qq --no-compile --constraint scripts/constraints.txt --editable '.[demo,openvino,train,export,dev,bm3d,dnd,large,raw,examples,serve,video,virtualcam,docs,ray]'
	$(BIN)/python -m pip install -qq --no-compile --constraint scripts/constraints.txt --no-deps tensorrt-stubs tritonclient
	$(BIN)/python -m pip install -qq --no-compile --constraint scripts/constraints.txt --no-deps nvidia-pytriton \
		|| echo 'Triton has no wheels for this machine; its tests will be skipped'
	$(BIN)/python -m pip install -qq --no-compile --constraint scripts/constraints.txt tensorrt-rtx cuda-bindings \
		|| echo 'TensorRT-RTX has no wheels for this machine; its tests will be skipped'
	-$(BIN)/python -m compileall -qq -j 0 .venv/lib
	touch $@
