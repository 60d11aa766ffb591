/** What is loaded with the first dashboard, as one piece. */

export { DashboardModel, shownOf } from './model';
export { Dashboard } from './widget';
