// What JupyterLab's packages need of a browser and jsdom lacks.

const lacking = globalThis as unknown as Record<string, unknown>;

lacking.DragEvent ??= class extends Event {};
lacking.matchMedia ??= () => ({
  matches: false,
  addEventListener(): void {},
  removeEventListener(): void {}
});
lacking.requestIdleCallback ??= (f: () => void) => setTimeout(f, 0);
lacking.ResizeObserver ??= class {
  observe(): void {}
  unobserve(): void {}
  disconnect(): void {}
};

// Charts draw on a canvas that nobody looks at here.
lacking.Path2D ??= class {
  rect(): void {}
  moveTo(): void {}
  lineTo(): void {}
  closePath(): void {}
  arc(): void {}
};
const nothing = new Proxy(
  {},
  { get: () => (): unknown => ({ width: 0 }), set: () => true }
) as unknown as CanvasRenderingContext2D;
HTMLCanvasElement.prototype.getContext = (() => nothing) as never;
lacking.IS_REACT_ACT_ENVIRONMENT = true;
