/**
 * One of Dask's own pages in JupyterLab's main area, as long as its cluster runs; before and after
 * that a sentence which says why there is none.
 */

import type { TranslationBundle } from '@jupyterlab/translation';

import type { Cluster } from '../api/types';
import { clusterIsOver } from '../model/clusters';
import type { Workbench } from '../model/workbench';
import { FramePane } from '../surface/frame';
import type { IPage } from './pages';
import { pageUrl } from './pages';

export interface IPaneOptions {
  readonly workbench: Workbench;
  /** Of the cluster. */
  readonly id: string;
  /** For as long as the cluster itself is not known. */
  readonly name: string;
  readonly page: IPage;
  readonly trans: TranslationBundle;
}

export class DaskPane extends FramePane {
  constructor(readonly options: IPaneOptions) {
    super('gw-pane');
    this.node.dataset['page'] = options.page.page;
    const { workbench } = options;
    workbench.clusters.changed.connect(this.update, this);
    workbench.changed.connect(this.onLink, this);
    this.onUpdateRequest();
  }

  get cluster(): Cluster | undefined {
    return this.options.workbench.clusters.get(this.options.id);
  }

  /** "flights: Task stream" */
  get label(): string {
    return `${this.cluster?.name ?? this.options.name}: ${this.options.page.label}`;
  }

  override dispose(): void {
    const { workbench } = this.options;
    workbench.clusters.changed.disconnect(this.update, this);
    workbench.changed.disconnect(this.onLink, this);
    super.dispose();
  }

  protected override onUpdateRequest(): void {
    if (this.isDisposed) {
      return;
    }
    const { workbench, page } = this.options;
    const cluster = this.cluster;
    const url = cluster && pageUrl(workbench.api.settings.baseUrl, cluster, page.page);
    this.title.label = this.label;
    if (url && !clusterIsOver(cluster)) {
      this.showPage(url, this.label);
    } else {
      this.say(this.why(cluster));
    }
  }

  private why(cluster: Cluster | undefined): string {
    const { trans, workbench, name } = this.options;
    if (!cluster) {
      return workbench.phase === 'ready'
        ? trans.__('There is no cluster %1 any more. You can close this tab.', name)
        : trans.__('Reading…');
    }
    const said = cluster.message.split('\n', 1)[0] ?? '';
    if (clusterIsOver(cluster)) {
      const end = said && said !== cluster.state ? `: ${said}` : '';
      return trans.__('%1 has ended%2. You can close this tab.', cluster.name, end);
    }
    return trans.__('%1 has no scheduler yet: %2', cluster.name, said || cluster.state);
  }

  /** A page whose server was away is fed no more: it is opened anew. */
  private onLink(): void {
    const { link } = this.options.workbench;
    if (link === 'open' && this._link === 'lost') {
      this.closePage();
    }
    this._link = link === 'open' || link === 'lost' ? link : this._link;
    this.update();
  }

  private _link: 'open' | 'lost' | null = null;
}
