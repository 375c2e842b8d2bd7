/** Modules under construction: attributes, registered submodules, containers, and how Flax names them. */
import { layerOf } from '../libraries';
import {
  Container,
  either,
  Instance,
  isModule,
  Layer,
  List,
  Pattern,
  unknown,
  type ModuleValue,
  type Site,
  type Value,
} from '../values';
import type { Named } from './methods';
import { isFlax, patternName } from './names';
import { Sequences } from './sequences';

/** Flax: the module whose `__call__` creates its submodules, and how many of each class there are. */
export interface Compact {
  readonly instance: Instance;
  readonly counts: Map<string, number>;
}

export abstract class Modules extends Sequences {
  /** Every module built so far, in order. */
  readonly built: ModuleValue[] = [];

  protected setAttribute(object: Value, name: string, value: Value, site?: Site): void {
    if (object instanceof Layer) object.attributes.set(name, value);
    if (!(object instanceof Instance)) return;
    const before = object.attributes.get(name);
    object.attributes.set(
      name,
      before !== undefined && this.isUncertain(object) ? either([before, value]) : value,
    );
    if (site) {
      const sites = object.assigned.get(name) ?? [];
      if (!sites.some(({ span }) => span === site.span)) sites.push(site);
      object.assigned.set(name, sites);
    }
    if (value instanceof List) this.flaxList(object, name, value);
  }

  /** Flax names the modules of a list `layers_0`, `layers_1`, …: `setup` registers them. */
  protected flaxList(object: Instance, name: string, list: List): void {
    if (!isFlax(object.class_) || !list.exact) return;
    list.items.forEach((item, i) => {
      if (isModule(item)) object.attributes.set(`${name}_${i}`, item);
    });
  }

  /** The constructor of the library's class that an instance derives from. */
  protected becomeExternal(self: Instance, args: Value[], named: Named): void {
    for (const path of self.class_.external()) {
      const made = layerOf(path, args, named, self.site, (items) => this.list(items));
      if (made instanceof Layer && made.kind === 'opaque') continue;
      if (made instanceof Layer || made instanceof Container) {
        self.base = made;
        return;
      }
    }
  }

  protected moduleMethod(object: ModuleValue, name: string, args: Value[], named: Named): Value {
    const container = containerOf(object);
    const [first] = args;
    const argument = (index: number, key: string): Value => args[index] ?? named.get(key) ?? unknown;
    switch (name) {
      case 'register_buffer':
      case 'register_parameter': {
        const key = argument(0, 'name');
        if (typeof key === 'string') this.setAttribute(object, key, argument(1, 'tensor'));
        return null;
      }
      case 'add_module':
      case 'register_module':
      case '__setattr__': {
        const [key, value] = [argument(0, 'name'), argument(1, 'module')];
        this.addModule(object, key, value);
        return null;
      }
      case 'append':
        if (container && first !== undefined) this.append(container.list, first);
        return object;
      case 'extend':
        if (container && first !== undefined) {
          for (const item of this.items(first)) this.append(container.list, item);
        }
        return object;
      case 'insert':
        if (container && typeof first === 'number') container.list.items.splice(first, 0, args[1] ?? unknown);
        return object;
      case 'add': // Keras
        if (container && first !== undefined) this.append(container.list, first);
        return null;
      case 'modules':
      case 'children':
        return container ? container.list : unknown;
      case 'items':
      case 'values':
      case 'keys':
      case 'forward':
      case 'state_dict':
      case 'load_state_dict':
      case 'parameters':
      case '__call__':
        return unknown;
      default:
        // `.to(device)`, `.cuda()`, `.eval()` and their like give the module back.
        return /^(to|cuda|cpu|eval|train|float|half|double|bfloat16|requires_grad_|apply|share_memory|type|compile|__enter__|clone)$/.test(
          name,
        )
          ? object
          : unknown;
    }
  }

  addModule(object: ModuleValue, key: Value, value: Value): void {
    const container = containerOf(object);
    if (container) {
      container.named.set(key, value);
      return;
    }
    if (!(object instanceof Instance)) return;
    if (typeof key === 'string') this.setAttribute(object, key, value);
    else if (key instanceof Pattern) object.attributes.set(patternName(key), value);
    else object.open = true;
  }

  /** Flax: what a compact method builds is a submodule, named by its class and a number. */
  protected register(
    made: ModuleValue,
    className: string,
    named: ReadonlyMap<string, Value>,
    compact: Compact | undefined,
  ): void {
    if (!compact) return;
    const { instance, counts } = compact;
    const given = named.get('name');
    if (typeof given === 'string') {
      instance.attributes.set(given, made);
      return;
    }
    if (given instanceof Pattern) {
      instance.attributes.set(patternName(given), made);
      return;
    }
    if (this.uncertain.some(({ repeats }) => repeats)) {
      instance.attributes.set(patternName(new Pattern([`${className}_`, null])), made);
      return;
    }
    const count = counts.get(className) ?? 0;
    counts.set(className, count + 1);
    instance.attributes.set(`${className}_${count}`, made);
  }
}

/** The container that a module is, or derives from. */
function containerOf(object: ModuleValue): Container | undefined {
  if (object instanceof Container) return object;
  return object instanceof Instance && object.base instanceof Container ? object.base : undefined;
}
